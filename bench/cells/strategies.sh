# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Every way of dumping one and the same crashed guest.  Full: the whole table of strategies, selectors, encodings.
cells+=(strategies)
strategies_title="Ways of dumping"
strategies_about="Guest with 2 vCPUs: 45 % incompressible, 10 % text, 5 % zeros, 30 % that its allocator has got back. A recovery VM boots beside the dump. first: crash to the first memory given back; complete: crash to the dump under its final name; rate: guest memory in the dump over crash to last release; ready: crash to the recovery VM's ready call; extra: most memory in use above what the guest had."
strategies_base=vmapp

#  name|not in the dump|modes|options
strategies_rows() {
	local s c w z
	cat <<-END
		vmapp|all|qnf|--set=dump.strategy=vmapp
		vmapp,pages|freed|qnf|--set=dump.strategy=vmapp --set=dump.select=pages
		vmapp,pages,zero|freed,zero|nf|--set=dump.strategy=vmapp --set=dump.select=pages,zero
		vmapp,pages,lz4|freed|nf|--set=dump.strategy=vmapp --set=dump.select=pages --set=dump.compress=lz4 --set=dump.workers=2
		vmapp,lz4|all|qnf|--set=dump.strategy=vmapp --set=dump.compress=lz4 --set=dump.workers=2
		remap|all|qnf|--set=dump.strategy=remap
		remap,pages|freed|qnf|--set=dump.strategy=remap --set=dump.select=pages
		hybrid,pages|freed|nf|--set=dump.strategy=hybrid --set=dump.select=pages
		hypercall|all|nf|--set=dump.strategy=hypercall
		addmem|all|nf|--set=dump.strategy=addmem
	END
	for w in 1 2 4; do
		for c in none lz4; do
			for s in all zero pages pages,zero; do
				case $s in all) z=all ;; zero) z=zero ;; pages) z=freed ;; *) z=freed,zero ;; esac
				echo "vmapp,$s,$c,$w|$z|f|--set=dump.strategy=vmapp --set=dump.select=$s --set=dump.compress=$c --set=dump.workers=$w"
			done
		done
	done
	for s in zero pages,zero; do
		case $s in zero) z=zero ;; *) z=freed,zero ;; esac
		echo "remap,$s|$z|f|--set=dump.strategy=remap --set=dump.select=$s"
		echo "hybrid,$s|$z|f|--set=dump.strategy=hybrid --set=dump.select=$s"
	done
}

strategies_round() {
	local name absent modes options wrap
	config "$memory" 2 "scenario=panic-call fill=pattern:45,text:10,zero:5,freed:30" "scenario=ready-poweroff"
	while IFS='|' read -r name absent modes options <&3; do
		case $modes in *"${mode:0:1}"*) ;; *) continue ;; esac
		wrap=("$tools/peak" "$dir")
		# shellcheck disable=SC2086 # options are words
		crash "$name" "$absent" $options || continue
		dump_samples "$name"
		sample "$name" ready ms "$(after ready)"
		sample "$name" extra MiB "$(sed -n 's/^peak_mib=\([0-9]*\) start_mib=\([0-9]*\)$/\1 \2/p' "$work/out" |
			awk -v own="$(number dump-start populated)" '{ printf "%.1f\n", $1 - $2 - own / 1048576 }')"
	done 3< <(strategies_rows)
}
