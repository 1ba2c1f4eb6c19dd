# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a crash costs as the work grows.  Variants are NAME@X: the report draws NAME over X and fits a line.
cells+=(sizes used workers vcpus crowd)

sizes_title="Growing guests"
sizes_about="Over the guest's memory in GiB, 60 % of it filled, 2 vCPUs. parked: crash to all vCPUs stopped and their registers saved; run: crash to the recovery VM's first KVM_RUN; ready: crash to its ready call, which it makes as soon as it has booted; complete: crash to the published dump."
sizes_axis="guest memory, GiB"
sizes_round() {
	local sizes size ways way gib
	case $mode in quick) sizes="256M 512M" ;; normal) sizes="256M 512M 1G" ;; *) sizes="256M 1G 2G 4G 8G" ;; esac
	ways="vmapp remap"
	[ "$mode" != full ] || ways="vmapp remap hybrid hypercall addmem"
	for size in $sizes; do
		room_for "$size" || continue
		gib=$(bytes_of "$size" | awk '{ print $1 / 1073741824 }')
		config "$size" 2 "scenario=panic-call fill=pattern:60" "scenario=ready-poweroff"
		for way in $ways; do
			crash "$way@$gib" all --set dump.strategy="$way" || continue
			sample "$way@$gib" parked ms "$(after parked)"
			sample "$way@$gib" run ms "$(after recovery-run)"
			sample "$way@$gib" ready ms "$(after ready)"
			dump_samples "$way@$gib"
		done
	done
}

used_title="How much of the guest is in use"
used_about="Over the percentage of memory that the guest has filled; the rest it has touched and freed (to 95 % together). Selector pages. excluded: crash to the moment that all free memory has been given back."
used_axis="memory in use, %"
used_round() {
	local fractions percent ways=vmapp way rest
	case $mode in quick) return 0 ;; normal) fractions="10 50 95" ;; *) fractions="10 25 50 75 100" ways="vmapp remap hybrid" ;; esac
	for percent in $fractions; do
		rest=$((percent < 95 ? 95 - percent : 0))
		config "$memory" 1 "scenario=panic-call fill=pattern:$percent,freed:$rest" "scenario=ready-poweroff"
		for way in $ways; do
			crash "$way@$percent" freed --set dump.select=pages --set dump.strategy="$way" || continue
			[ $rest -eq 0 ] || sample "$way@$percent" excluded ms "$(after excluded)"
			dump_samples "$way@$percent"
		done
	done
}

workers_title="Workers"
workers_about="Over dump.workers. Guest filled with 60 % text, 20 % incompressible, 15 % zeros; uncompressed and LZ4."
workers_axis="workers"
workers_round() {
	local counts n compress
	case $mode in quick) return 0 ;; normal) counts="1 2" ;; *) counts="1 2 4" ;; esac
	config "$memory" 1 "scenario=panic-call fill=text:60,pattern:20,zero:15" "scenario=ready-poweroff"
	for n in $counts; do
		for compress in none lz4; do
			crash "$compress@$n" all --set dump.compress=$compress --set dump.workers="$n" || continue
			dump_samples "$compress@$n"
		done
	done
}

vcpus_title="vCPUs"
vcpus_about="Over the number of vCPUs of a guest of 256 MiB, 60 % filled. parked: crash to all vCPUs stopped and their registers saved; run: crash to the recovery VM's first KVM_RUN."
vcpus_axis="vCPUs"
vcpus_round() {
	local counts n
	case $mode in quick) return 0 ;; normal) counts="1 4" ;; *) counts="1 2 4 8 16" ;; esac
	for n in $counts; do
		config 256M "$n" "scenario=panic-call fill=pattern:60" "scenario=ready-poweroff"
		crash "vmapp@$n" all || continue
		sample "vmapp@$n" parked ms "$(after parked)"
		sample "vmapp@$n" run ms "$(after recovery-run)"
	done
}

crowd_title="Guests that crash at once"
crowd_about="Over the number of minivmm processes on the host whose guests (256 MiB, 60 % filled) panic at the same time. ready and complete: of the last one to get there, from its own crash."
crowd_axis="guests"
crowd_round() {
	local counts n
	case $mode in quick) counts="1 2" ;; *) counts="1 2 4 8" ;; esac
	for n in $counts; do
		crowd_of "$n" || continue
	done
}

# crowd_of N: N guests, each in a directory of its own; they are told to crash when all have been filled.
crowd_of() {
	local n=$1 i pids=() at status=0
	note "vmapp@$n"
	config 256M 1 "scenario=idle fill=pattern:60" "scenario=ready-poweroff on-recovery=ready-poweroff"
	for ((i = 0; i < n; i++)); do
		at=$work/crowd$i
		rm -rf "$at" "$dir-$i"
		mkdir -p "$at"
		timeout 300 "$minivmm" run "$work/guest.cfg" --set vm.name="$guest-$i" --console "$at/console" \
			--events "$at/events" >"$at/out" 2>&1 </dev/null &
		pids+=($!)
	done
	for ((i = 0; i < n; i++)); do
		for ((at = 0; at < 6000; at++)); do
			! grep -q '"event":"ready"' "$work/crowd$i/events" 2>/dev/null || break
			kill -0 "${pids[i]}" 2>/dev/null || break
			sleep 0.05
		done
	done
	for ((i = 0; i < n; i++)); do
		"$minivmm" ctl "$guest-$i" crash >/dev/null 2>&1 & # at once, not one after the other
	done
	for ((i = 0; i < n; i++)); do
		wait "${pids[i]}" || status=$?
	done
	wait
	crowd_samples "vmapp@$n" "$n" "$status"
	status=$?
	for ((i = 0; i < n; i++)); do
		rm -rf "$work/crowd$i" "$dir-$i"
	done
	return $status
}

crowd_samples() { # VARIANT N STATUS
	local i ready=0 complete=0 keep_work=$work keep_dir=$dir ok=1
	[ "$3" -eq 0 ] || ok=0
	for ((i = 0; i < $2 && ok; i++)); do
		work=$keep_work/crowd$i
		dir=$keep_dir-$i
		# the stub did not print the registers that it had when it was told to crash
		[ -n "$(moment published)" ] && verify "" --no-registers || ok=0
		ready=$(printf '%s\n%s\n' "$ready" "$(after ready)" | sort -g | tail -1)
		complete=$(printf '%s\n%s\n' "$complete" "$(after published)" | sort -g | tail -1)
	done
	work=$keep_work
	dir=$keep_dir
	[ $ok = 1 ] || failed "$1" "status $3: $(cat "$work"/crowd*/verdict 2>/dev/null | grep -m1 BAD)" || return 1
	sample "$1" ready ms "$ready"
	sample "$1" complete ms "$complete"
}
