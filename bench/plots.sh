# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# bench/plots.sh - the plots of bench/report; sourced by it.  From $work/summary (bench/summary.awk) to
# $work/plot.CELL.N.svg, in the order in which they are shown, each with its caption in $work/plot.CELL.N.caption.

colours=('#2f6fb3' '#d9822b' '#3a9a5b' '#b0413e' '#7a5ea8' '#5b6770')

# plots_of CELL AXIS
plots_of() {
	local cell=$1 axis=$2 metric unit n=10
	case $cell in
	downtime)
		plot_stack "$cell" 01
		plot_stack "$cell" 02 qemu # beside its bars the others cannot be told apart
		;;
	curve) plot_curves "$cell" ;;
	esac
	while IFS=$'\t' read -r metric unit; do
		case $metric in phase:*) continue ;; esac
		n=$((n + 1))
		if [ -n "$axis" ]; then
			plot_lines "$cell" "$n" "$metric" "$unit" "$axis"
		else
			plot_bars "$cell" "$n" "$metric" "$unit"
		fi
	done < <(awk -F '\t' -v cell="$cell" '$1 == cell && !seen[$2]++ { print $2 "\t" $3 }' "$work/summary")
}

# colour of a bar: what is compared with, other people's programs, ours
reference='#8a939c'
peer='#d9822b'

terminal() { # CELL NUMBER HEIGHT CAPTION
	echo "$4" >"$work/plot.$1.$2.caption"
	echo "set terminal svg size 820,$3 dynamic enhanced font 'sans-serif,13' name '${1//-/_}_$2' background '#ffffff'"
	echo "set output '$work/plot.$1.$2.svg'"
	echo "set border 3 lc '#8a939c'; set tics nomirror; set grid xtics lc '#e4e8ec' lt 1 lw 1"
}

# gnuplot reads _ ^ @ & ~ { } in text as layout: the text as it is.
plain() {
	sed 's/\\/\\\\/g; s/[_^@&~{}]/\\\\&/g'
}

# One bar a variant: median, with min and max as whiskers; the median and the ratio to the base stand beside it.
plot_bars() { # CELL NUMBER METRIC UNIT
	local rows wide base all most=16
	base=$(awk -F '\t' -v cell="$1" '$1 == cell { print $10; exit }' "$work/summary")
	awk -F '\t' -v cell="$1" -v metric="$3" '$1 == cell && $2 == metric' "$work/summary" >"$work/rows"
	all=$(wc -l <"$work/rows")
	[ "$all" -gt 1 ] || return 0
	if [ "$all" -gt $((most + 4)) ]; then # what full mode has beside the others is for the table
		head -n $most "$work/rows" >"$work/first" && mv "$work/first" "$work/rows"
	fi
	rows=$(wc -l <"$work/rows")
	# NUMBER MEDIAN MIN MAX NAME LABEL COLOUR, the first one at the top
	tac "$work/rows" | awk -F '\t' -v base="$base" -v reference="$reference" -v peer="$peer" -v ours="${colours[0]}" '{
		colour = $4 == base ? reference : $4 ~ /^(qemu|microvm|q35|makedumpfile|kdump|ideal)/ ? peer : ours
		sub(/#/, "0x", colour)
		printf "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", NR, $6, $7, $8, $4, $9 == "-" ? $6 : $6 "   × " $9, colour }' >"$work/data"
	# bars of a thousandth cannot be seen: a logarithmic axis if all are above 0 and far apart
	wide=$(awk -F '\t' '$2 <= 0 { none = 1 } NR == 1 { lo = $2; hi = $2 } $2 < lo { lo = $2 } $2 > hi { hi = $2 }
		END { print (!none && hi > 30 * lo ? 10 ^ (int(log(lo) / log(10) + 100) - 101) : 0) }' "$work/data")
	{
		terminal "$1" "$2" $((44 + 23 * rows)) "$3, $4$([ "$wide" = 0 ] || echo ', logarithmic')$([ -z "$base" ] || echo "; ×: ratio to $base")$([ "$all" = "$rows" ] || echo "; $rows of $all, the others are in the table")"
		echo "set lmargin $(margin 5); set rmargin 20; set tmargin 0.5; set bmargin 2; set datafile separator tab"
		echo "unset key; set yrange [0.4:$rows.6]; set border 1; set tics scale 0.5"
		[ "$wide" = 0 ] && echo "set xrange [0:*]" || echo "set logscale x; set xrange [$wide:*]; set format x '%g'"
		names 5
		echo "set style fill solid 0.85 noborder"
		echo "plot '$work/data' using ($wide):1:($wide):2:(\$1-0.32):(\$1+0.32):7 with boxxyerror lc rgb variable, \\"
		echo "  '' using 2:1:3:4 with xerrorbars lc '#1b1f24' pt 0 lw 1.2, \\"
		echo "  '' using 4:1:(sprintf('  %s', strcol(6))) with labels left noenhanced font ',12' tc '#1b1f24'"
	} | run_gnuplot
}

# margin COLUMN: characters for the longest of the names in it, of $work/data.
margin() {
	awk -F '\t' -v c="$1" 'length($c) > n { n = length($c) } END { print (n < 10 ? 12 : n + 2) }' "$work/data"
}

# names COLUMN: of $work/data, beside the bars.
names() {
	awk -F '\t' -v q="'" -v c="$1" '{ gsub(/[_^@&~{}]/, "\\\\&", $c); gsub(q, "", $c)
		printf "%s\"%s\" %d", (NR > 1 ? ", " : "set ytics textcolor \"#1b1f24\" ("), $c, $1 } END { print ")" }' "$work/data"
}

# Variants NAME@X over X, each NAME with a straight line through its medians, whose slope is told in $work/fit.CELL.
plot_lines() { # CELL NUMBER METRIC UNIT AXIS
	local name i=0 first=1
	awk -F '\t' -v cell="$1" -v metric="$3" '$1 == cell && $2 == metric && split($4, at, "@") == 2 {
		print at[1] "\t" at[2] "\t" $6 "\t" $7 "\t" $8 }' "$work/summary" >"$work/rows"
	[ "$(cut -f2 "$work/rows" | sort -u | wc -l)" -gt 1 ] || return 0
	{
		terminal "$1" "$2" 270 "$3, $4"
		echo "set key outside right; set grid ytics lc '#e4e8ec' lt 1"
		echo "set xlabel '$(plain <<<"$5")'; set yrange [0:*]; set xrange [0:*]; set offsets graph 0, graph 0.05, graph 0.1, 0"
		printf 'plot'
		while IFS= read -r name; do
			awk -F '\t' -v name="$name" '$1 == name { print $2, $3, $4, $5 }' "$work/rows" | sort -g >"$work/line.$2.$i"
			fit "$work/line.$2.$i" >"$work/line"
			read -r slope base <"$work/line"
			printf '<li>%s, %s: %s %s for each more of “%s”, %s %s at 0</li>\n' "$name" "$3" "$slope" "$4" "$5" "$base" "$4" \
				>>"$work/fit.$1"
			[ $first = 1 ] || printf ','
			first=0
			printf " '%s' using 1:2:3:4 with yerrorbars pt 7 ps 0.7 lw 1.3 lc '%s' title '%s', (%s) + (%s) * x with lines dt 2 lc '%s' notitle" \
				"$work/line.$2.$i" "${colours[i % 6]}" "$(plain <<<"$name")" "$base" "$slope" "${colours[i % 6]}"
			i=$((i + 1))
		done < <(cut -f1 "$work/rows" | awk '!seen[$0]++')
		echo
	} >"$work/script"
	run_gnuplot <"$work/script"
}

# fit FILE: "SLOPE BASE" of the line with the least squares through columns 1 and 2.
fit() {
	awk '{ n++; x += $1; y += $2; xx += $1 * $1; xy += $1 * $2 }
		END { d = n * xx - x * x; m = d ? (n * xy - x * y) / d : 0; printf "%.3g %.3g\n", m, (y - m * x) / n }' "$1"
}

# The phases of the downtime, one on the other, one bar a variant.
plot_stack() { # CELL NUMBER [BEGINNING OF VARIANTS THAT ARE LEFT OUT]
	local rows
	[ -z "${3:-}" ] || awk -F '\t' -v cell="$1" -v out="^$3" '$1 == cell && $4 ~ out { found = 1 } END { exit !found }' \
		"$work/summary" || return 0
	awk -F '\t' -v cell="$1" -v out="${3:+^$3}" '$1 == cell && $2 ~ /^phase:/ && (out == "" || $4 !~ out) {
			if (!($4 in n)) { n[$4] = ++nr; name[nr] = $4 }
			v[n[$4], substr($2, 7)] = $6
		}
		END { for (i = nr; i; i--) printf "%d\t%s\t%g\t%g\t%g\t%g\n", nr - i + 1, name[i], v[i, "park"], v[i, "dump"], v[i, "enter"], v[i, "restart"] }
	' "$work/summary" >"$work/data"
	rows=$(wc -l <"$work/data")
	[ "$rows" -gt 0 ] || return 0
	{
		terminal "$1" "$2" $((84 + 23 * rows)) "downtime by phase, ms, medians${3:+; without $3}"
		echo "set lmargin $(margin 2); set rmargin 12; set tmargin 0.5; set datafile separator tab"
		echo "set key outside bottom center horizontal; set border 1; set tics scale 0.5"
		echo "set yrange [0.4:$rows.6]; set xrange [0:*]; set style fill solid 0.9 noborder"
		names 2
		echo "plot '$work/data' using (0):1:(0):3:(\$1-0.34):(\$1+0.34) with boxxyerror lc '${colours[3]}' title 'vCPUs stop', \\"
		echo "  '' using 3:1:3:(\$3+\$4):(\$1-0.34):(\$1+0.34) with boxxyerror lc '${colours[1]}' title 'wait for the dump', \\"
		echo "  '' using (\$3+\$4):1:(\$3+\$4):(\$3+\$4+\$5):(\$1-0.34):(\$1+0.34) with boxxyerror lc '${colours[4]}' title 'enter recovery VM', \\"
		echo "  '' using (\$3+\$4+\$5):1:(\$3+\$4+\$5):(\$3+\$4+\$5+\$6):(\$1-0.34):(\$1+0.34) with boxxyerror lc '${colours[0]}' title 'it starts', \\"
		echo "  '' using (\$3+\$4+\$5+\$6):1:(sprintf('  %.4g', \$3+\$4+\$5+\$6)) with labels left font ',11' notitle"
	} | run_gnuplot
}

# Crashed VM, dump and recovery VM stacked over time.
plot_curves() { # CELL
	local file name
	for file in "$out/series/$1".*.tsv; do
		[ -s "$file" ] || continue
		name=${file##*/"$1".}
		name=${name%.tsv}
		{
			terminal "$1" "0${name//[^a-z]/}" 290 "$name: memory in use, MiB"
			echo "set key outside right; set grid ytics lc '#e4e8ec' lt 1"
			echo "set xlabel 'ms since the crash'; set yrange [0:*]; set style fill solid 0.75 noborder"
			echo "plot '$file' using 1:2 with filledcurves y1=0 lc '${colours[3]}' title 'crashed VM', \\"
			echo "  '' using 1:2:(\$2+\$3) with filledcurves lc '${colours[1]}' title 'dump', \\"
			echo "  '' using 1:(\$2+\$3):5 with filledcurves lc '${colours[0]}' title 'recovery VM', \\"
			echo "  '' using 1:5 with lines lc '#1b1f24' lw 1.5 title 'sum', \\"
			echo "  '' using 1:6 with lines dt 2 lc '#1b1f24' title 'budget'"
		} | run_gnuplot
	done
}

run_gnuplot() {
	cat >"$work/gnuplot"
	gnuplot "$work/gnuplot" 2>"$work/gnuplot.err" || { echo "bench/report: gnuplot:" >&2; cat "$work/gnuplot.err" >&2; }
}
