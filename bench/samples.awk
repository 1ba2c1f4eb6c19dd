# SPDX-License-Identifier: Apache-2.0
#
# bench/samples.awk - what the programs that read results.jsonl share: awk -f bench/samples.awk -f PROGRAM.
#
# The file is flat JSON, one object a line, strings without quotes or backslashes inside; nothing else is understood.

# text(LINE, KEY): the value of KEY as text; "" if it is not there.
function text(line, key,    at, rest) {
	at = index(line, "\"" key "\":")
	if (!at)
		return ""
	rest = substr(line, at + length(key) + 3)
	if (substr(rest, 1, 1) == "\"") {
		rest = substr(rest, 2)
		return substr(rest, 1, index(rest, "\"") - 1)
	}
	match(rest, /^[^,}]*/)
	return substr(rest, 1, RLENGTH)
}

# sort(V, N): V[1..N], ascending.  Insertion: N is the number of rounds.
function sort(v, n,    i, j, x) {
	for (i = 2; i <= n; i++) {
		x = v[i]
		for (j = i - 1; j >= 1 && v[j] > x; j--)
			v[j + 1] = v[j]
		v[j + 1] = x
	}
}

# median(V, N): of V[1..N], which must be sorted.
function median(v, n) {
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
