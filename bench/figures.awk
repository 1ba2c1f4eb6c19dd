# SPDX-License-Identifier: Apache-2.0
#
# bench/figures.awk - a document with its tables made anew: awk -F '\t' -f bench/figures.awk SUMMARY DOCUMENT.
#
# SUMMARY is the output of bench/summary.awk.  In DOCUMENT, a table is made of the rows that the comment before it asks for:
#
#	<!-- rows of CELL: METRIC, METRIC over, ... [of VARIANT; VARIANT; ...] -->
#
# One column for each METRIC, "median (least - most)"; one more with the ratio to the cell's base after "METRIC over"; one
# line for each VARIANT, all that have the first METRIC if none is named.  The comment asks in vain if there is no such row: a line on standard error, exit status 1.

FNR == NR {
	if (/^#/)
		next
	unit[$1, $2] = $3
	if (!(($1, $2, $4) in median)) {
		order[$1, $2, ++count[$1, $2]] = $4
		median[$1, $2, $4] = $6
	}
	least[$1, $2, $4] = $7
	most[$1, $2, $4] = $8
	ratio[$1, $2, $4] = $9
	known[$1, $4] = 1
	base[$1] = $10
	samples[$1, $2, $4] = $5
	if ($5 + 0 > rounds[$1, $2] + 0)
		rounds[$1, $2] = $5
	next
}

function trimmed(s) {
	gsub(/^ +| +$/, "", s)
	return s
}

function complain(what) {
	print "no row " what | "cat >&2"
	bad = 1
}

# Thousands apart, three digits that count.
function figure(x) {
	if (x >= 10000)
		return sprintf("%d,%03d", int(x / 1000 + 0.0005), x % 1000)
	return x >= 100 ? sprintf("%.0f", x) : sprintf("%.3g", x)
}

# value(KEY): " median (least - most)" of a row, "" if there is none.
function value(key) {
	if (!(key in median))
		return ""
	if (samples[key] == 1)
		return " " figure(median[key])
	return " " figure(median[key]) " (" figure(least[key]) " - " figure(most[key]) ")"
}

function table(request,    cell, metrics, metric, n, variants, vn, i, j, line, rule, first, with_ratio, v, key) {
	sub(/^<!-- rows of /, "", request)
	sub(/ *-->.*$/, "", request)
	cell = request
	sub(/:.*/, "", cell)
	request = substr(request, length(cell) + 2)
	vn = 0
	if (match(request, / of /)) {
		vn = split(substr(request, RSTART + 4), variants, ";")
		request = substr(request, 1, RSTART - 1)
	}
	n = split(request, metrics, ",")
	for (i = 1; i <= n; i++) {
		metrics[i] = trimmed(metrics[i])
		with_ratio[i] = sub(/ over$/, "", metrics[i])
		if (!((cell, metrics[i]) in unit))
			complain(cell ": " metrics[i])
	}
	first = metrics[1]
	if (!vn)
		for (vn = 0; vn < count[cell, first]; vn++)
			variants[vn + 1] = order[cell, first, vn + 1]
	line = "| " rounds[cell, first] (rounds[cell, first] == 1 ? " round |" : " rounds |")
	rule = "|---|"
	for (i = 1; i <= n; i++) {
		line = line " " metrics[i] ", " unit[cell, metrics[i]] " |"
		rule = rule "---|"
		if (with_ratio[i]) {
			line = line " / " base[cell] " |"
			rule = rule "---|"
		}
	}
	print line
	print rule
	for (j = 1; j <= vn; j++) {
		v = trimmed(variants[j])
		if (!((cell, v) in known))
			complain(cell ": " v)
		line = "| " v
		if (((cell, first, v) in samples) && samples[cell, first, v] != rounds[cell, first])
			line = line ", " samples[cell, first, v] (samples[cell, first, v] == 1 ? " round" : " rounds")
		line = line " |"
		for (i = 1; i <= n; i++) {
			key = cell SUBSEP metrics[i] SUBSEP v
			line = line value(key) " |"
			if (with_ratio[i])
				line = line (ratio[key] + 0 ? " " figure(ratio[key]) : "") " |"
		}
		print line
	}
}

# Behind a request: the table that was there is dropped, with the blank line before it.
waiting && /^$/ { blank = 1; next }
waiting && /^\|/ { waiting = blank = 0; dropping = 1 }
dropping && /^\|/ { next }
{
	if (blank)
		print ""
	waiting = dropping = blank = 0
	print
}
/^<!-- rows of .*-->$/ {
	print ""
	table($0)
	waiting = 1
}
END { exit bad }
