# SPDX-License-Identifier: Apache-2.0
# bench/compare.awk - of bench/compare, which tells what it does.

FNR == 1 { file++ }
/"record":"run"/ {
	describes[file] = text($0, "commit") ", " text($0, "kernel") ", " text($0, "cpus") " CPUs, guests of " text($0, "guest")
	machine[file] = text($0, "cpu") "|" text($0, "cpus") "|" text($0, "kernel") "|" text($0, "huge") "|" text($0, "guest")
}
/"record":"sample"/ {
	key = text($0, "cell") "\t" text($0, "metric") "\t" text($0, "variant") "\t" text($0, "unit")
	if (!(key in known)) {
		known[key] = 1
		keys[++key_nr] = key
	}
	values[file, key, ++count[file, key]] = text($0, "value") + 0
	samples[file]++
}

# noise(FILE, KEY): sets MID to the median, returns the relative spread of that median, -1 if it cannot be told.
function noise(file, key,    n, i, v, d) {
	n = count[file, key]
	for (i = 1; i <= n; i++)
		v[i] = values[file, key, i]
	sort(v, n)
	MID = median(v, n)
	if (n < 3 || MID == 0)
		return -1
	for (i = 1; i <= n; i++)
		d[i] = v[i] > MID ? v[i] - MID : MID - v[i]
	sort(d, n)
	return 3 * 1.4826 * median(d, n) / (MID < 0 ? -MID : MID) / sqrt(n)
}

function direction(unit) {
	if (unit == "GB/s")
		return 1
	return unit == "ms" || unit == "us" || unit == "MiB" || unit == "KiB" || unit == "of guest memory" ? -1 : 0
}

function compare(key,    part, a, b, old, new, ratio, limit, mark, way) {
	split(key, part, "\t")
	a = noise(1, key); old = MID
	b = noise(2, key); new = MID
	ratio = old ? new / old : 0
	limit = a < 0 || b < 0 ? -1 : sqrt(a * a + b * b)
	if (limit >= 0 && limit < FLOOR)
		limit = FLOOR
	mark = " "
	way = direction(part[4])
	if (limit < 0 || !old)
		mark = "?"
	else if (ratio > 1 + limit || ratio < 1 - limit)
		mark = !way ? "!" : (ratio > 1) == (way > 0) ? "+" : "-"
	marks[mark]++
	printf "%s %-12s %-14s %-24s %10.4g %10.4g %-5s %8s %8s\n", mark, part[1], part[2], part[3], old, new, \
		part[4] == "of guest memory" ? "" : part[4], old ? sprintf("%.3f", ratio) : "-", \
		limit < 0 ? "?" : sprintf("%.0f%%", limit * 100)
}

BEGIN { FLOOR = 0.03 } # our choice: less is not worth a mark
END {
	if (!samples[1] || !samples[2]) {
		print "compare: no samples in a file" > "/dev/stderr"
		exit 2
	}
	print "old: " describes[1]
	print "new: " describes[2]
	if (machine[1] != machine[2])
		print "warning: these are not the same machine, kernel or size of guests"
	printf "  %-12s %-14s %-24s %10s %10s %-5s %8s %8s\n", "cell", "metric", "variant", "old", "new", "", "new/old", "noise"
	for (k = 1; k <= key_nr; k++) {
		if (count[1, keys[k]] && count[2, keys[k]])
			compare(keys[k])
		else
			lonely[count[1, keys[k]] ? 1 : 2]++
	}
	printf "%d better, %d worse, %d changed, %d within the noise, %d with too few samples; only in old: %d, only in new: %d\n", \
		marks["+"], marks["-"], marks["!"], marks[" "], marks["?"], lonely[1], lonely[2]
	exit marks["-"] > 0
}
