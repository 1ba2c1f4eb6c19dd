#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/stub-qemu.sh [STUB] - boots the guest stub's scenarios under QEMU (TCG: no /dev/kvm needed) and checks
# what it prints.  Shows that the stub is an ordinary PVH kernel that needs no firmware calls.
#
# STUB: the image, build/guest-stub/stub.elf unless given.
# Prints PASS / FAIL / SKIP lines.  Exit status: 0 nothing failed, 1 something did.
set -u
cd "$(dirname "$0")/.."

stub=${1:-build/guest-stub/stub.elf}
limit=60 # seconds a boot may take; our choice: a slow machine needs 5
failed=0

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "SKIP the stub's scenarios under QEMU: no qemu-system-x86_64 (Debian package qemu-system-x86)"
	exit 0
fi
if [ ! -r "$stub" ]; then
	echo "FAIL the stub's scenarios under QEMU: no $stub (make $stub)"
	exit 1
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# boot COMMANDLINE [SECONDS]: runs QEMU to its end, or for SECONDS; leaves $out and $status (124: time is over).
boot() {
	timeout "${2:-$limit}" qemu-system-x86_64 -M q35 -accel tcg -m 256 -smp 2 -nodefaults -nic none -display none \
		-device pvpanic -serial "file:$dir/console" -no-reboot -kernel "$stub" -append "$1" </dev/null \
		>"$dir/qemu" 2>&1
	status=$?
	out=$(tr -d '\r' <"$dir/console" | grep -a '^stub: ')
	rm -f "$dir/console"
}

# check NAME: the test passes if every function call so far in this test succeeded.
check() {
	if [ -z "$problem" ]; then
		echo "PASS $1"
	else
		echo "FAIL $1: $problem"
		printf '%s\n' "$out" | sed 's/^/    /'
		sed 's/^/    qemu: /' "$dir/qemu"
		failed=1
	fi
	problem=
}

has() {
	printf '%s\n' "$out" | grep -Eq -- "$1" || problem="$problem no line matches '$1';"
}

has_not() {
	printf '%s\n' "$out" | grep -Eq -- "$1" && problem="$problem a line matches '$1';"
}

ends_with() {
	[ "$status" -eq "$1" ] || problem="$problem QEMU ended with $status, not $1;"
}

problem=

boot 'scenario=ready-poweroff'
[ "$(printf '%s\n' "$out" | head -n 1 | cut -d' ' -f1-3)" = 'stub: minivmm guest-stub' ] || problem='no banner first;'
has '^stub: minivmm guest-stub [0-9.]+, [0-9]+ MiB, 1 cpus, generation 0$'
has '^stub: ready$'
has '^stub: power off, code 0$'
ends_with 0
check 'ready-poweroff reports ready and powers off by ACPI'

boot 'scenario=null-deref'
has '^stub: panic: cpu 0: null pointer dereference: write of 0x0 at rip 0x[0-9a-f]+$'
has '^stub: regs cpu=0 vector=14 error=0x6 rip=0x[0-9a-f]+ .* cr2=0x0 '
has_not 'at-panic' # promised only when the panic call takes these registers away
has_not 'power off' # QEMU ends at the pvpanic write
ends_with 0
check 'null-deref prints its registers and reports to pvpanic'

boot 'scenario=div-zero'
has '^stub: panic: cpu 0: divide error at rip 0x[0-9a-f]+$'
has '^stub: regs cpu=0 vector=0 '
check 'div-zero reports a divide error'

boot 'scenario=panic-call'
has '^stub: panic: cpu 0: requested by scenario=panic-call$'
has '^stub: regs cpu=0 vector=none '
check 'panic-call panics without an exception'

boot 'scenario=panic-early fill=50'
has '^stub: panic: cpu 0: requested by scenario=panic-early$'
has_not '^stub: fill'
check 'panic-early panics before memory is filled'

boot 'scenario=ready-panic'
has '^stub: ready$'
has '^stub: panic: cpu 0: requested by scenario=ready-panic$'
check 'ready-panic is ready first'

boot 'scenario=triple-fault'
has '^stub: scenario triple-fault$'
has_not 'panic'
ends_with 0
check 'triple-fault resets the machine without a panic'

boot 'scenario=reboot'
has '^stub: reboot$'
ends_with 0
check 'reboot resets the machine'

boot 'scenario=hang' 4
has '^stub: scenario hang$'
has_not 'power off'
ends_with 124
check 'hang hangs'

boot 'scenario=idle' 4
has '^stub: ready$'
has_not 'power off'
ends_with 124
check 'idle stays after ready'

boot 'scenario=service touch=100 then=ready-poweroff'
has '^stub: fill kind=touch pfn=[0-9]+-[0-9]+ seed=0x1$'
has '^stub: service touched 100 MiB$'
has '^stub: scenario ready-poweroff$'
has '^stub: power off, code 0$'
check 'service touches its memory, is ready and goes on'

boot 'scenario=calls'
has '^stub: calls port: 4000, [0-9]+ ticks each$'
has_not 'calls query'
has '^stub: ready$'
check 'calls reads the port as often as it says, and makes no call where there are none'

boot 'fill=pattern:20,text:10,zero:5,freed:20 seed=0xabc'
has '^stub: fill kind=pattern pfn=[0-9]+-[0-9]+ seed=0xabc$'
has '^stub: fill kind=text pfn=[0-9]+-[0-9]+ seed=0xabc$'
has '^stub: fill kind=zero pfn=[0-9]+-[0-9]+ seed=0xabc$'
has '^stub: fill kind=freed pfn=[0-9]+-[0-9]+ seed=0xabc$'
check 'fill prints a range for each kind'

started=$(date +%s%N)
boot 'scenario=ready-poweroff delay=3000'
took=$(($(date +%s%N) - started))
[ $took -gt 2500000000 ] || problem="took only $((took / 1000000)) ms;"
check 'delay=3000 takes three seconds and more'

boot 'scenario=no-such-thing'
has '^stub: error: .*"scenario".*"no-such-thing"'
has '^stub:   scenario null-deref: '
has '^stub: power off, code 2$'
check 'an unknown scenario is refused with the list of those known'

boot 'scenarios=idle'
has '^stub: error: .*unknown key "scenarios"'
has '^stub:   fill=: '
has '^stub: power off, code 2$'
check 'an unknown key is refused with the list of those known'

for bad in fill=pattern:101 fill=60,zero:41 fill=junk:5 fill= seed=0x cpus=-1 delay=99999999999999999999 \
	touch=262145 then=service then=panic-early; do
	boot "$bad"
	has "^stub: error: .*value of \"${bad%%=*}\" not allowed"
	has '^stub: power off, code 2$'
done
check 'values out of range are refused'

exit $failed
