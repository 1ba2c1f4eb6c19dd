/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config_file.c - lines of guest.cfg and of --set: see config_impl.h */
#include "vmm/config/config_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "vmm/config/config_named.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* One pass over one file. */
struct reader {
	struct config *config;
	const char *path;
	FILE *stream;    /* borrowed */
	int line;        /* number of the line in hand, from 1 */
	const char *buf; /* borrowed: libinih's buffer with that line */
	size_t buf_size;
	int errors;
	const struct config_option *last; /* option of the previous key line, NULL if it was wrong */
	char value[VALUE_MAX];            /* its value so far */
	int set_at[64];                   /* line that set options[i], 0 = none yet */
	int named_set_at[NAMED_KINDS][NAMED_SECTIONS_MAX]
			[NAMED_KEYS_MAX]; /* the same for sections with names */
};

/* A key: its option, the struct that has its field, and which one of several sections that is. */
struct target {
	const struct config_option *option;
	void *fields;
	const struct config_kind *kind; /* NULL for a section without a name */
	size_t index;                   /* of the section among its kind */
};

/* A comment behind a value: libinih ends values at " ;" alone, people write " # " as well.  " #1" is part of a value. */
static void cut_comment(char *line)
{
	for (char *at = strchr(line, '#'); at; at = strchr(at + 1, '#'))
		if (at > line && isspace((unsigned char)at[-1]) &&
			(!at[1] || isspace((unsigned char)at[1]))) {
			strcpy(at, "\n");
			return;
		}
}

static char *read_line(char *buf, int size, void *opaque)
{
	struct reader *r = opaque;
	size_t len;

	if (!fgets(buf, size, r->stream))
		return NULL;
	r->line++;
	r->buf = buf;
	r->buf_size = (size_t)size;
	len = strlen(buf);
	if (len == (size_t)size - 1 && buf[len - 1] != '\n') {
		int c;

		log_error("%s:%d: line longer than %d bytes; continue a long value on an indented line",
			r->path, r->line, LINE_LEN_MAX);
		r->errors++;
		r->last = NULL;
		while ((c = fgetc(r->stream)) != EOF && c != '\n')
			;
		snprintf(buf, (size_t)size, "\n");
	}
	cut_comment(buf);
	return buf;
}

static bool section_exists(const char *section)
{
	const char *name;

	if (config_kind_find(section, &name))
		return true;
	for (size_t i = 0; i < nr_options; i++)
		if (!strcmp(options[i].section, section))
			return true;
	return false;
}

/* Adds "@word@after" with a comma in front of all but the first. */
static size_t add_word(char *buf, size_t size, size_t len, const char *word, const char *after)
{
	int n = len < size ? snprintf(buf + len, size - len, "%s%s%s", len ? ", " : "", word, after) : 0;

	return len + (size_t)n;
}

/* "a, b, c": the keys of @section, or the sections when there is no such one. */
static void list_known(const char *section, char *buf, size_t size)
{
	const char *name, *before = "";
	const struct config_kind *kind = config_kind_find(section, &name);
	bool keys = section_exists(section);
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; kind && i < kind->nr_options; i++)
		len = add_word(buf, size, len, kind->options[i].key, "");
	for (size_t i = 0; !kind && i < nr_options; i++) {
		const char *word = keys ? options[i].key : options[i].section;

		if (keys ? !!strcmp(options[i].section, section) : !strcmp(before, word))
			continue;
		len = add_word(buf, size, len, word, "");
		before = word;
	}
	for (size_t i = 0; !keys && i < NAMED_KINDS; i++)
		len = add_word(buf, size, len, config_kinds[i].section, " NAME");
}

static void report_unknown(const char *where, const char *section, const char *key)
{
	char known[256];

	list_known(section, known, sizeof(known));
	if (section_exists(section))
		log_error("%s: [%s] has no key '%s'; it has: %s", where, section, key, known);
	else
		log_error("%s: there is no section [%s]; sections: %s", where, section, known);
}

/*
 * find_target - the option behind @section and @key; a section with a name comes to be by being named.
 * Result: 0, -ENOMEM, or -EINVAL: reported with @where.
 */
static int find_target(
	struct config *config, const char *where, const char *section, const char *key, struct target *ret)
{
	const char *name;
	char why[160];
	int err;

	*ret = (struct target){.fields = config, .kind = config_kind_find(section, &name)};
	if (!ret->kind) {
		ret->option = option_find(section, key);
	} else {
		for (size_t i = 0; i < ret->kind->nr_options; i++)
			if (!strcmp(ret->kind->options[i].key, key))
				ret->option = &ret->kind->options[i];
	}
	if (!ret->option) {
		report_unknown(where, section, key);
		return -EINVAL;
	}
	if (!ret->kind)
		return 0;
	err = config_named_get(config, ret->kind, name, &ret->index, why, sizeof(why));
	if (!err)
		ret->fields = config_named(config, ret->kind, ret->index);
	else
		log_error("%s: %s", where, err == -EINVAL ? why : strerror(-err));
	return err;
}

/* Where it is noted which line set @target. */
static int *set_at(struct reader *r, const struct target *target)
{
	size_t key;

	if (!target->kind) {
		key = (size_t)(target->option - options);
		assert(key < ARRAY_LEN(r->set_at));
		return &r->set_at[key];
	}
	key = (size_t)(target->option - target->kind->options);
	return &r->named_set_at[target->kind - config_kinds][target->index][key];
}

/*
 * True if libinih took the line in hand for one that continues the value before it.  It does not say
 * so, but then @key is its copy of the earlier key; a new key lies in the line itself.
 */
static bool is_continuation(const struct reader *r, const char *key)
{
	uintptr_t start = (uintptr_t)r->buf, at = (uintptr_t)key;

	return at < start || at >= start + r->buf_size;
}

/* Bytes of @value before a comment behind it; libinih 55 leaves those of continuation lines in. */
static size_t without_comment(const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 1; i < len; i++)
		if (value[i] == ';' && isspace((unsigned char)value[i - 1]))
			len = i;
	while (len && isspace((unsigned char)value[len - 1]))
		len--;
	return len;
}

/* Joins a continuation line to the value in hand. */
static int join_value(struct reader *r, const char *value)
{
	size_t len = strlen(r->value), more = without_comment(value);

	if (len + more + 2 > sizeof(r->value))
		return -E2BIG;
	snprintf(r->value + len, sizeof(r->value) - len, "%s%.*s", len ? " " : "", (int)more, value);
	return 0;
}

/* libinih calls this for each "key = value" and for each indented line after one. */
static int take_value(void *opaque, const char *section, const char *key, const char *value)
{
	struct reader *r = opaque;
	const struct config_option *option;
	bool continues = is_continuation(r, key);
	char where[512], why[320];
	struct target target;
	int err;

	if (continues && !r->last)
		return 1; /* the line that it continues was reported */
	snprintf(where, sizeof(where), "%s:%d", r->path, r->line);
	if (find_target(r->config, where, section, key, &target))
		goto bad;
	option = target.option;
	if (continues && option->type != OPTION_STRING) {
		log_error("%s: [%s] %s: only text can go on over several lines", where, section, key);
		goto bad;
	}
	if (!continues && *set_at(r, &target)) {
		log_error("%s: [%s] %s: already set in line %d", where, section, key, *set_at(r, &target));
		goto bad;
	}
	r->last = option;
	if (continues) {
		if (join_value(r, value)) {
			log_error("%s: [%s] %s: longer than %d bytes", where, section, key, VALUE_MAX - 1);
			goto bad;
		}
	} else {
		*set_at(r, &target) = r->line;
		snprintf(r->value, sizeof(r->value), "%s", value);
	}
	err = option_set(option, target.fields, r->value, why, sizeof(why));
	if (err) {
		log_error("%s: [%s] %s: %s", where, section, key, err == -EINVAL ? why : strerror(-err));
		goto bad;
	}
	return 1;
bad:
	r->errors++;
	r->last = NULL;
	return 1; /* go on: one run shows every mistake */
}

int config_read_file(struct config *config, const char *path)
{
	struct reader r = {.config = config, .path = path};
	autofclose FILE *stream = fopen(path, "re");
	int err;

	if (!stream) {
		err = -errno;
		log_error("%s: %s", path, strerror(-err));
		return err;
	}
	r.stream = stream;
	err = ini_parse_stream(read_line, &r, take_value, &r);
	if (ferror(stream)) {
		log_error("%s: cannot be read", path);
		return -EIO;
	}
	if (err > 0) {
		log_error("%s:%d: neither '[section]' nor 'key = value' nor a comment (# or ;)", path, err);
		r.errors++;
	} else if (err < 0) {
		log_error("%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	return r.errors;
}

int config_apply_set(struct config *config, const char *set)
{
	const char *equals = strchr(set, '=');
	const char *dot = strchr(set, '.');
	const char *last = equals ? memrchr(set, '.', (size_t)(equals - set)) : NULL;
	char section[64], key[32], where[128], why[320];
	struct target target;
	int err;

	if (!equals || !last || (size_t)(last - set) >= sizeof(section) || dot - set >= 32 ||
		(size_t)(equals - last) > sizeof(key)) {
		log_error("--set %s: expected section.key=value", set);
		return 1;
	}
	snprintf(section, sizeof(section), "%.*s", (int)(last - set), set);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - last - 1), last + 1);
	snprintf(where, sizeof(where), "--set %s.%s", section, key);
	if (dot != last)
		section[dot - set] = ' '; /* as in a file: [disk NAME] */
	if (find_target(config, where, section, key, &target))
		return 1;
	err = option_set(target.option, target.fields, equals + 1, why, sizeof(why));
	if (err)
		log_error("%s: %s", where, err == -EINVAL ? why : strerror(-err));
	return err ? 1 : 0;
}
