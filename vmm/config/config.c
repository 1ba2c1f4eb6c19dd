/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config.c - see config.h */
#include "vmm/config/config.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "dump/lz4/lz4_frame.h"
#include "dump/record/record.h"
#include "dump/select/select.h"
#include "dump/engine/sink.h"
#include "dump/engine/tables.h"
#include "vmm/config/config_named.h"
#include "vmm/config/options.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (OPTION_TEXT_MAX + 1) /* bytes of a value joined from continuation lines, and the NUL */

#define LINE_LEN_MAX (INI_MAX_LINE - 2) /* bytes of a line, without its end and the NUL */

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

/* Returns the number of mistakes, or -errno. */
static int read_file(struct config *config, const char *path)
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

/* @set is "section.key=value", or "section.NAME.key=value".  Returns the number of mistakes. */
static int apply_set(struct config *config, const char *set)
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

/* ---- defaults that depend on other values --------------------------------------------------------- */

static int set_default(char **field, const char *value)
{
	if (*field)
		return 0;
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* The file's name without directory and ".cfg"; characters that a name cannot have become '-'. */
static int default_name(struct config *config)
{
	autofree char *copy = strdup(config->path);
	char name[49];
	size_t len;

	if (!copy)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s", basename(copy));
	len = strlen(name);
	if (len > 4 && !strcmp(name + len - 4, ".cfg"))
		name[len - 4] = '\0';
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			*c = '-';
	if (name[0] == '.' || name[0] == '-' || !name[0])
		name[0] = 'g';
	return set_default(&config->vm.name, name);
}

/* Makes a relative path relative to the directory of the configuration file. */
static int resolve_path(const struct config *config, char **field)
{
	autofree char *copy = strdup(config->path);
	char *joined;

	if (!copy)
		return -ENOMEM;
	if (!*field || (*field)[0] == '/')
		return 0;
	if (asprintf(&joined, "%s/%s", dirname(copy), *field) < 0)
		return -ENOMEM;
	free(*field);
	*field = joined;
	return 0;
}

static int resolve_option(const struct config *config, const struct config_option *option, void *fields)
{
	char **field = option_string(option, fields);
	bool sink = option->type == OPTION_SINK, socket = option->type == OPTION_SOCKET;
	bool word = field && *field &&
		    ((sink && !strcmp(*field, "stdio")) || ((sink || socket) && !strcmp(*field, "none")));

	if ((option->type != OPTION_PATH && !sink && !socket) || word)
		return 0;
	return resolve_path(config, field);
}

static int resolve_paths(struct config *config)
{
	int err = 0;

	for (size_t i = 0; i < nr_options && !err; i++)
		err = resolve_option(config, &options[i], config);
	for (size_t k = 0; k < NAMED_KINDS; k++) {
		const struct config_kind *kind = &config_kinds[k];
		void *named;

		for (size_t i = 0; (named = config_named(config, kind, i)); i++)
			for (size_t o = 0; o < kind->nr_options && !err; o++)
				err = resolve_option(config, &kind->options[o], named);
	}
	return err;
}

static int set_fallbacks(struct config *config)
{
	char why[320];

	for (size_t i = 0; i < nr_options; i++) {
		int err = options[i].fallback
				  ? option_set(&options[i], config, options[i].fallback, why, sizeof(why))
				  : 0;

		if (err)
			return err;
	}
	return 0;
}

/* In vm.memory_dir; none where that makes a path that no socket can have. */
static int default_control(struct config *config)
{
	autofree char *path = NULL;

	if (config->vm.control)
		return 0;
	if (asprintf(&path, "%s/control", config->vm.memory_dir) < 0)
		return -ENOMEM;
	if (strlen(path) > CONTROL_PATH_MAX) {
		log_warn("%s: no control socket: %s is longer than %d bytes; [vm] control names another "
			 "place",
			config->path, path, CONTROL_PATH_MAX);
		return set_default(&config->vm.control, "none");
	}
	return set_default(&config->vm.control, path);
}

static int computed_defaults(struct config *config)
{
	autofree char *dir = NULL;
	int err;

	err = default_name(config);
	if (!err)
		err = resolve_paths(config);
	if (!err)
		err = set_default(&config->vm.kernel, "");
	if (!err)
		err = set_default(&config->vm.initrd, "");
	if (!err) /* an initrd belongs to its kernel: before the kernel's default hides whether one is given */
		err = set_default(
			&config->recovery.initrd, config->recovery.kernel ? "" : config->vm.initrd);
	if (!err)
		err = set_default(&config->recovery.kernel, config->vm.kernel);
	if (!err)
		err = set_default(&config->recovery.cmdline, config->vm.cmdline);
	if (!err && asprintf(&dir, "/dev/shm/minivmm/%s", config->vm.name) < 0)
		err = -ENOMEM;
	if (!err)
		err = set_default(&config->vm.memory_dir, dir);
	if (!err)
		err = set_default(&config->dump.dir, config->vm.memory_dir);
	if (!err)
		err = set_default(&config->dump.fallback_dir, "");
	if (!err)
		err = default_control(config);
	return err;
}

/* ---- values that do not go together --------------------------------------------------------------- */

static int refuse(const char *path, bool wrong, const char *why)
{
	if (wrong)
		log_error("%s: %s", path, why);
	return wrong ? 1 : 0;
}

/* Returns the number of mistakes. */
static int check_together(const struct config *config, const char *path)
{
	const struct dump_strategy *strategy = &dump_strategies[config->dump.strategy];
	bool compressed = dump_sinks[config->dump.compress]->compressed;
	int mistakes = 0;

	mistakes += refuse(path, strlen(config->vm.control) > CONTROL_PATH_MAX,
		"[vm] control: longer than 107 bytes, the most that the path of a Unix socket can have");
	mistakes += refuse(path, compressed && !strategy->sinks,
		"[dump] compress = lz4 needs [dump] strategy = vmapp: with the others the dump is memory "
		"in "
		"place");
	mistakes += refuse(path, compressed && config->dump.chunk > LZ4_BLOCK_MAX,
		"[dump] compress = lz4 needs [dump] chunk = 4M or less: the largest block of the format");
	mistakes += refuse(path, compressed && config->dump.order != DUMP_ORDER_ASCENDING,
		"[dump] compress = lz4 needs [dump] order = ascending: the blocks of a frame are in order");
	mistakes += refuse(path,
		strategy->guest_mode != FW_DUMP_MODE_VMM && config->dump.select != DUMP_SELECT_ALL,
		"[dump] select must be all with [dump] strategy = hypercall or addmem: the guest selects");
	mistakes += refuse(path,
		config->recovery.handover == HANDOVER_EXPLICIT &&
			config->recovery.initial > config->vm.memory,
		"[recovery] initial must not be more than [vm] memory");
	return mistakes;
}

int config_load(struct config *ret, const char *path, const char *const *sets, size_t nr_sets)
{
	struct config config = {0};
	int mistakes, err;

	config.path = strdup(path);
	err = config.path ? set_fallbacks(&config) : -ENOMEM;
	if (err)
		goto fail;
	mistakes = read_file(&config, path);
	if (mistakes < 0) {
		err = mistakes;
		goto fail;
	}
	for (size_t i = 0; i < nr_sets; i++)
		mistakes += apply_set(&config, sets[i]);
	err = computed_defaults(&config);
	if (err)
		goto fail;
	if (!mistakes && !config.vm.kernel[0]) {
		log_error("%s: [vm] kernel: missing; it names the kernel image to boot", path);
		mistakes++;
	}
	mistakes += check_together(&config, path);
	mistakes += config_named_check(&config, path);
	err = mistakes ? -EINVAL : 0;
	if (err)
		goto fail;
	*ret = config;
	return 0;
fail:
	if (err == -ENOMEM)
		log_error("%s: %s", path, strerror(ENOMEM));
	config_fini(&config);
	return err;
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < nr_options; i++) {
		char **field = option_string(&options[i], config);

		if (field) {
			free(*field);
			*field = NULL;
		}
	}
	config_named_fini(config);
	free(config->path);
	config->path = NULL;
}

/* ---- printing --------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* True if @text may go on in a new line after the blank at @at: reading joins the two with one blank. */
static bool can_break(const char *text, size_t at)
{
	return at && text[at] == ' ' && text[at + 1] && !is_blank(text[at - 1]) &&
	       !is_blank(text[at + 1]) && !strchr("#;", text[at + 1]);
}

/* "key = text", continued on indented lines if it is too long for one. */
static void print_text(FILE *out, const char *key, const char *text)
{
	size_t room = LINE_LEN_MAX - strlen(key) - strlen(" = ");
	bool first = true;

	fprintf(out, "%s = ", key);
	while (strlen(text) > room) {
		size_t cut = room;

		while (cut && !can_break(text, cut))
			cut--;
		/* a first word that is too long for the key's line may have one of its own */
		if (!cut && (!first || strchr("#;", text[0])))
			break;
		fprintf(out, "%.*s\n\t", (int)cut, text);
		text += cut ? cut + 1 : 0;
		room = LINE_LEN_MAX - strlen("\t");
		first = false;
	}
	fprintf(out, "%s\n", text);
}

static void print_option(FILE *out, const struct config_option *option, const void *fields)
{
	char value[VALUE_MAX];

	option_format(option, fields, value, sizeof(value));
	if (option->type == OPTION_PATH && !value[0])
		return; /* not given, which a line cannot say */
	if (option->type == OPTION_STRING)
		print_text(out, option->key, value);
	else
		fprintf(out, "%s = %s\n", option->key, value);
}

void config_print(const struct config *config, FILE *out)
{
	const char *section = "";
	const void *named;

	fprintf(out, "# effective configuration of %s\n", config->path);
	for (size_t i = 0; i < nr_options; i++) {
		if (strcmp(section, options[i].section))
			fprintf(out, "%s[%s]\n", i ? "\n" : "", options[i].section);
		section = options[i].section;
		print_option(out, &options[i], config);
	}
	for (size_t k = 0; k < NAMED_KINDS; k++) {
		const struct config_kind *kind = &config_kinds[k];

		for (size_t i = 0; (named = config_named(config, kind, i)); i++) {
			fprintf(out, "\n[%s %s]\n", kind->section, config_named_name(named));
			for (size_t o = 0; o < kind->nr_options; o++)
				print_option(out, &kind->options[o], named);
		}
	}
}

void config_print_keys(FILE *out)
{
	for (size_t i = 0; i < nr_options; i++)
		fprintf(out, "%s.%s\n", options[i].section, options[i].key);
	for (size_t k = 0; k < NAMED_KINDS; k++)
		for (size_t o = 0; o < config_kinds[k].nr_options; o++)
			fprintf(out, "%s.%s\n", config_kinds[k].section, config_kinds[k].options[o].key);
}

static void print_option_help(FILE *out, const struct config_option *option, const char *between)
{
	char allowed[160], name[64];

	option_allowed(option, allowed, sizeof(allowed));
	snprintf(name, sizeof(name), "%s.%s%s", option->section, between, option->key);
	fprintf(out, "  %-18s %s\n  %-18s   allowed: %s", name, option->help, "", allowed);
	if (option->fallback)
		fprintf(out, "; default: %s", option->fallback[0] ? option->fallback : "none");
	fprintf(out, "\n");
}

void config_print_help(FILE *out)
{
	for (size_t i = 0; i < nr_options; i++)
		print_option_help(out, &options[i], "");
	for (size_t k = 0; k < NAMED_KINDS; k++)
		for (size_t o = 0; o < config_kinds[k].nr_options; o++)
			print_option_help(out, &config_kinds[k].options[o], "NAME.");
}
