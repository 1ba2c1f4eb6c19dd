/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/json.h - writes one JSON document to a stream, indented or in one line.  Names are string literals of ours; texts may
 * be any bytes and come out as ASCII, a byte from 0x80 on as the character of that number.
 *
 *      struct json json = {.out = stdout};
 *      json_object(&json, NULL);
 *      json_u64(&json, "bytes", 4096);
 *      json_array(&json, "segments");
 *      ...
 *      json_end(&json);  json_end(&json);
 *
 * @name is NULL for the elements of an array and for the whole document.  Locks: none.
 */
#ifndef VMM_BASE_JSON_H
#define VMM_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* our choice: what our documents need */
#define JSON_DEPTH_MAX 8

struct json {
	FILE *out;    /* borrowed */
	bool compact; /* all in one line */
	unsigned depth;
	bool not_first; /* in the innermost object or array */
	char closing[JSON_DEPTH_MAX];
};

void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end(struct json *json); /* of the innermost one; the last ends the line too */

void json_u64(struct json *json, const char *name, uint64_t value);
void json_i64(struct json *json, const char *name, int64_t value);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
void json_text(struct json *json, const char *name, const char *text);
void json_bytes(struct json *json, const char *name, const char *text, size_t len);

#endif /* VMM_BASE_JSON_H */
