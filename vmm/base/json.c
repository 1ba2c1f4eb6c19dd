/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/json.c - see json.h */
#include "vmm/base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static void put_string(FILE *out, const char *text, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* What comes before any value: comma, new line, name. */
static void lead(struct json *json, const char *name)
{
	if (json->depth && json->not_first)
		fputc(',', json->out);
	if (json->depth && !json->compact)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	json->not_first = true;
	if (name)
		fprintf(json->out, json->compact ? "\"%s\":" : "\"%s\": ", name);
}

static void open_with(struct json *json, const char *name, char opening, char closing)
{
	assert(json->depth < JSON_DEPTH_MAX);
	lead(json, name);
	fputc(opening, json->out);
	json->closing[json->depth++] = closing;
	json->not_first = false;
}

void json_object(struct json *json, const char *name)
{
	open_with(json, name, '{', '}');
}

void json_array(struct json *json, const char *name)
{
	open_with(json, name, '[', ']');
}

void json_end(struct json *json)
{
	assert(json->depth);
	json->depth--;
	if (json->not_first && !json->compact)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	fputc(json->closing[json->depth], json->out);
	if (!json->depth)
		fputc('\n', json->out);
	json->not_first = true;
}

void json_u64(struct json *json, const char *name, uint64_t value)
{
	lead(json, name);
	fprintf(json->out, "%" PRIu64, value);
}

void json_i64(struct json *json, const char *name, int64_t value)
{
	lead(json, name);
	fprintf(json->out, "%" PRId64, value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	lead(json, name);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *name)
{
	lead(json, name);
	fputs("null", json->out);
}

void json_bytes(struct json *json, const char *name, const char *text, size_t len)
{
	lead(json, name);
	put_string(json->out, text, len);
}

void json_text(struct json *json, const char *name, const char *text)
{
	json_bytes(json, name, text, strlen(text));
}
