/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config_print.c - a configuration as one could write it, and what could be written: see config.h */
#include "vmm/config/config_impl.h"

#include "vmm/config/config_named.h"

#include <string.h>

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
