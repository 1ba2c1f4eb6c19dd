# SPDX-License-Identifier: Apache-2.0
#
# bench/summary.awk - results.jsonl as a table: awk -f bench/samples.awk -f bench/summary.awk FILE.
#
# One line for each cell, metric and variant, in the order of their first samples; separated by tabs:
#	cell metric unit variant samples median min max ratio base
# ratio: median over the rounds of this variant / base in the same round; "-" for the base itself, without
# one, and for phases.

/"record":"cell"/ { base[text($0, "cell")] = text($0, "base") }
/"record":"sample"/ {
	cell = text($0, "cell"); metric = text($0, "metric"); variant = text($0, "variant")
	group = cell "\t" metric "\t" text($0, "unit")
	if (!(group in variants)) {
		groups[++group_nr] = group
		cell_of[group] = cell
	}
	key = group "\t" variant
	if (!(key in count)) {
		names[group, ++variants[group]] = variant
		count[key] = 0
	}
	values[key, ++count[key]] = text($0, "value") + 0
	by_round[key, text($0, "round")] = text($0, "value") + 0
	if (text($0, "round") + 0 > rounds)
		rounds = text($0, "round") + 0
}

# Four digits, and no exponent for large numbers.
function digits(x) {
	return x >= 10000 ? sprintf("%.0f", x) : sprintf("%.4g", x)
}

function print_variant(group, variant,    key, other, n, i, v, r, nr, ratio) {
	key = group "\t" variant
	n = count[key]
	for (i = 1; i <= n; i++)
		v[i] = values[key, i]
	sort(v, n)
	ratio = "-"
	other = group "\t" base[cell_of[group]]
	if (other != key && other in count && group !~ /\tphase:/) {
		for (i = 1; i <= rounds; i++)
			if (((key, i) in by_round) && ((other, i) in by_round) && by_round[other, i])
				r[++nr] = by_round[key, i] / by_round[other, i]
		sort(r, nr)
		if (nr)
			ratio = sprintf("%.3g", median(r, nr))
	}
	printf "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", group, variant, n, digits(median(v, n)), digits(v[1]), digits(v[n]), ratio,
		base[cell_of[group]]
}

END {
	for (g = 1; g <= group_nr; g++)
		for (i = 1; i <= variants[groups[g]]; i++)
			print_variant(groups[g], names[groups[g], i])
}
