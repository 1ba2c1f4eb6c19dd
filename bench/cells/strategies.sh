# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Every way of dumping one and the same crashed guest, and one way on guests with different contents.
cells+=(strategies contents)

strategies_title="Ways of dumping"
strategies_about="Guest with 2 vCPUs: 45 % incompressible, 10 % text, 5 % zeros, 30 % that its allocator has got back. A recovery VM boots beside the dump. list: the guest tells that it wants the first two; used: the guest, which dumps by itself, leaves out free pages; w4: 4 workers. first: crash to the first memory given back; complete: crash to the dump under its final name; rate: guest memory in the dump over crash to last release; ready: crash to the recovery VM's ready call; extra: most memory in use above what the guest had."
strategies_base=vmapp
strategies_fill=fill=pattern:45,text:10,zero:5,freed:30

#  name|not in the dump|strategy|selector|more options|more of the guest's command line
strategies_rows() {
	cat <<-END
		vmapp|all|vmapp|all||
		vmapp,pages|freed|vmapp|pages||
		vmapp,lz4|all|vmapp|all|--set=dump.compress=lz4|
		remap|all|remap|all||
		remap,pages|freed|remap|pages||
	END
	[ "$mode" != quick ] || return 0
	cat <<-END
		vmapp,list|zero,freed|vmapp|list||select=pattern,text
		vmapp,pages,zero|freed,zero|vmapp|pages,zero||
		vmapp,pages,lz4|freed|vmapp|pages|--set=dump.compress=lz4|
		hybrid,pages|freed|hybrid|pages||
		hypercall|all|hypercall|all||
		addmem|all|addmem|all||
	END
	[ "$mode" != full ] || ! often || strategies_all
}

# What is not among the rows above.
strategies_all() {
	local strategy absent select list workers
	cat <<-END
		hypercall,used|freed|hypercall|all||dump=used
		hypercall,release|all|hypercall|all||release=1
		addmem,used|freed|addmem|all||dump=used
		vmapp,zero|zero|vmapp|zero||
		vmapp,zero,lz4|zero|vmapp|zero|--set=dump.compress=lz4|
		vmapp,list,lz4|zero,freed|vmapp|list|--set=dump.compress=lz4|select=pattern,text
		vmapp,pages,zero,lz4|freed,zero|vmapp|pages,zero|--set=dump.compress=lz4|
		hybrid|all|hybrid|all||
	END
	for strategy in remap hybrid; do
		echo "$strategy,zero|zero|$strategy|zero||"
		echo "$strategy,list|zero,freed|$strategy|list||select=pattern,text"
		echo "$strategy,pages,zero|freed,zero|$strategy|pages,zero||"
	done
	for workers in 1 2 4; do
		while IFS='|' read -r select absent list; do
			echo "vmapp,$select,w$workers|$absent|vmapp|$select|--set=dump.workers=$workers|$list"
			echo "vmapp,$select,lz4,w$workers|$absent|vmapp|$select|--set=dump.workers=$workers --set=dump.compress=lz4|$list"
		done <<-END
			all|all|
			zero|zero|
			list|zero,freed|select=pattern,text
			pages|freed|
			pages,zero|freed,zero|
		END
	done
}

strategies_round() {
	local name absent strategy select options more wrap
	while IFS='|' read -r name absent strategy select options more <&3; do
		config "$memory" 2 "scenario=panic-call $strategies_fill $more" "scenario=ready-poweroff"
		wrap=("$tools/peak" "$dir")
		# shellcheck disable=SC2086 # options are words
		crash "$name" "$absent" "--set=dump.strategy=$strategy" "--set=dump.select=$select" $options || continue
		dump_samples "$name"
		sample "$name" ready ms "$(after ready)"
		sample "$name" extra MiB "$(extra_memory)"
	done 3< <(strategies_rows)
}

# extra_memory: of the run that was wrapped in tools/peak.
extra_memory() {
	sed -n 's/^peak_mib=\([0-9]*\) start_mib=\([0-9]*\)$/\1 \2/p' "$work/out" |
		awk -v own="$(number dump-start populated)" '{ printf "%.1f\n", $1 - $2 - own / 1048576 }'
}

contents_title="What the guest's memory holds"
contents_about="Guests that are 80 % filled with one kind: incompressible bytes, text, zeros that were written; full mode: equal parts of the three. Names are CONTENTS: way of dumping. first, complete, rate and size as in Ways of dumping."
contents_base="incompressible: vmapp"
contents_round() {
	local kind fill way absent options
	[ "$mode" != quick ] || return 0
	while IFS='|' read -r kind fill <&4; do
		config "$memory" 1 "scenario=panic-call fill=$fill" "scenario=ready-poweroff"
		while IFS='|' read -r way absent options <&3; do
			# shellcheck disable=SC2086 # options are words
			crash "$kind: $way" "$absent" $options || continue
			dump_samples "$kind: $way"
		done 3< <(contents_ways "$kind")
	done 4< <(contents_kinds)
}

contents_kinds() {
	echo "incompressible|pattern:80"
	echo "text|text:80"
	echo "zeros|zero:80"
	[ "$mode" != full ] || echo "mixed|pattern:27,text:27,zero:26"
}

contents_ways() { # KIND
	echo "vmapp|all|"
	echo "vmapp,lz4|all|--set=dump.compress=lz4"
	[ "$mode$1" = normalzeros ] || [ "$mode" = full ] || return 0
	echo "vmapp,zero|zero|--set=dump.select=zero"
	[ "$mode" = full ] || return 0
	cat <<-END
		remap,zero|zero|--set=dump.strategy=remap --set=dump.select=zero
		hybrid,zero|zero|--set=dump.strategy=hybrid --set=dump.select=zero
		vmapp,zero,lz4|zero|--set=dump.select=zero --set=dump.compress=lz4
	END
}
