/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/json_read.h - looks into one line of JSON without copying it: answers and events of the control socket.
 *
 *      struct json_slice line = {text, len}, value;
 *      struct json_cursor cursor;
 *      if (json_enter(line, &cursor))
 *              while (json_next(&cursor, &name, &value)) ...
 *
 * Never reads outside of the slice, whatever is in it; what is no JSON ends the walk.  It does not validate: of
 * a nested value it sees only where it ends.  Locks: none.
 */
#ifndef VMM_BASE_JSON_READ_H
#define VMM_BASE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_slice {
	const char *text; /* borrowed */
	size_t len;
};

struct json_cursor {
	const char *at, *end; /* borrowed */
	char closing;         /* '}' or ']' */
};

/* False if @value is neither an object nor an array. */
bool json_enter(struct json_slice value, struct json_cursor *ret);

/* The next member of an object or element of an array (its @ret_name is empty).  False at the end. */
bool json_next(struct json_cursor *cursor, struct json_slice *ret_name, struct json_slice *ret_value);

/* The member @name of the object @object.  False if there is none. */
bool json_find(struct json_slice object, const char *name, struct json_slice *ret);

/* The same with its value; 0, false and "" if there is none of that type. */
uint64_t json_find_u64(struct json_slice object, const char *name);
bool json_find_true(struct json_slice object, const char *name);
void json_find_text(struct json_slice object, const char *name, char *buf, size_t size);

/*
 * json_decode - the characters of a string literal, NUL-terminated, cut to @size - 1 bytes.  Only \" and \\ are
 * resolved: other escapes stay as they are, so that a terminal gets printable characters alone.  False if
 * @value is no string.
 */
bool json_decode(struct json_slice value, char *buf, size_t size);

#endif /* VMM_BASE_JSON_READ_H */
