# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2054
#
# tests/nested/machine.sh - makes and keeps what a nested machine starts from.  Sourced by tests/nested/run.
#
#   kernel-RELEASE/     Debian's cloud kernel, unpacked: vmlinuz, modules
#   base-KEY/           initramfs and base image: that kernel, programs, libraries, packages asked for
#   state-KEY           a booted machine of so many CPUs and so much memory, saved by QEMU
#
# Everything is in the directory $cache and appears there under its final name when it is complete.  A key is the hash of
# all that the thing depends on; what nobody used for a week is removed.

nested=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# Programs inside, besides busybox: all of these packages, as they are installed here.
base_packages=(bash binutils coreutils dash diffutils findutils grep lz4 mawk perl-base sed util-linux)
disk_size=16G # of the job's disk, as the saved machine knows it; the image is sparse
keep_days=7

die() {
	echo "nested: $*" >&2
	exit "$failure"
}

hash_of() {
	sha256sum | cut -c1-16
}

# fetch PACKAGE...: downloads into the current directory; apt's lists of packages may be missing or old.
fetch() {
	apt-get -q -q download "$@" 2>"$work/apt" && return
	[ "$(id -u)" -eq 0 ] && apt-get -q -q update 2>>"$work/apt" && apt-get -q -q download "$@" 2>>"$work/apt" &&
		return
	cat "$work/apt" >&2
	die "apt-get cannot download $*; would 'apt-get update' help?"
}

# unpack DEB... into the directory $root, whose /bin, /lib... are links to /usr
unpack() {
	local deb

	for deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink \
			--exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' ||
			die "cannot unpack $deb"
	done
}

# ---- kernel -------------------------------------------------------------------------------------

# Sets $kernel, its directory.  One that is there is used, so that no network is needed then.
find_kernel() {
	kernel=$(compgen -G "$cache/kernel-*" | tail -n 1)
	[ -n "$kernel" ] || make_kernel
}

make_kernel() {
	local name root=$work/kernel

	name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
	[ -n "$name" ] || die "apt-cache does not know the package linux-image-cloud-amd64; 'apt-get update'?"
	note "fetching $name"
	mkdir -p "$root/usr"
	(cd "$work" && fetch "$name" && unpack "$name"_*.deb) || exit
	mv "$root"/boot/vmlinuz-* "$root/vmlinuz"
	busybox depmod -b "$root" "$(ls "$root/lib/modules")" || die "busybox depmod failed"
	kernel=$cache/kernel-${name#linux-image-}
	mv "$root" "$kernel"
}

# ---- base image ---------------------------------------------------------------------------------

# Sets $base, its directory.
find_base() {
	local key

	key=$({
		echo "${kernel##*/} $disk_size ${packages[*]}"
		cat "$nested/init" "$nested/machine.sh"
		dpkg-query -W "${base_packages[@]}" busybox-static libc6 2>/dev/null
	} | hash_of)
	base=$cache/base-$key
	[ -d "$base" ] || make_base
	touch "$base"
}

# libraries_of PROGRAM...: prints the paths of the shared libraries that they need.
libraries_of() {
	# Static programs and scripts are reported on stderr or as "not a dynamic executable".
	ldd "$@" 2>/dev/null | sed -n 's/^\t\(.* => \)\?\(\/[^ ]*\) (0x.*/\2/p' | sort -u
}

# copy_in PATH...: to the same place below $root, with what symbolic links point to.
copy_in() {
	local path

	for path; do
		[ -e "$root$path" ] && continue
		mkdir -p "$root${path%/*}"
		cp -L --preserve=mode,timestamps "$path" "$root$path"
	done
}

# link_usr: $root/bin, /lib... are links to /usr, as Debian has them: packages contain links through both names.
link_usr() {
	local name

	for name in bin lib lib64 sbin; do
		mkdir -p "$root/usr/$name"
		ln -s "usr/$name" "$root/$name"
	done
}

make_base() {
	local root=$work/base/root programs name applet

	note "making the base image${packages[*]:+ with ${packages[*]}}"
	mkdir -p "$root"/{dev,etc,out,proc,root,run,sys,tmp,var/tmp}
	link_usr
	mapfile -t programs < <(dpkg-query -L "${base_packages[@]}" 2>/dev/null | grep -E '^(/usr)?/s?bin/.')
	copy_in "${programs[@]}"
	mapfile -t programs < <(libraries_of "${programs[@]}")
	copy_in "${programs[@]}"
	add_packages
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $(busybox --list); do
		compgen -G "$root/*bin/$applet" >/dev/null || ln -s busybox "$root/bin/$applet"
	done
	ln -sf ../bin/busybox "$root/sbin/modprobe"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	echo '127.0.0.1 localhost nested' >"$root/etc/hosts"
	ln -sf /proc/mounts "$root/etc/mtab"
	cp -a "$kernel/lib/modules" "$root/lib/"
	(cd "$root" && find usr -type f -o -type l) | sort >"$work/base/files"
	image_of "$root" "$work/base/image" $(($(du -sk "$root" | cut -f1) * 2 + 65536))k
	make_initramfs "$work/base/initramfs"
	rm -rf "$root"
	mv "$work/base" "$base"
}

# Packages asked for, with all that they depend on, fresh from the archive: they need not be installed here.
add_packages() {
	local all

	[ ${#packages[@]} -gt 0 ] || return 0
	mapfile -t all < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
		--no-replaces --no-enhances "${packages[@]}" | grep '^[a-z0-9]' | grep -v ':' | sort -u)
	# names that only others provide have no version of their own
	mapfile -t all < <(apt-cache policy "${all[@]}" |
		awk '/^[^ ]/ { name = $1 } /Candidate: [^(]/ { sub(":$", "", name); print name }')
	mkdir "$work/debs"
	(cd "$work/debs" && fetch "${all[@]}" && unpack ./*.deb) || exit
	rm -rf "$work/debs"
}

# image_of DIRECTORY FILE SIZE: an ext4 image of it
image_of() {
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -E root_owner=0:0,nodiscard -d "$1" "$2" "$3" >/dev/null ||
		die "mke2fs failed"
}

make_initramfs() {
	local root=$work/initramfs modules module

	modules=$(ls "$kernel/lib/modules")
	mkdir -p "$root"/{bin,"lib/modules/$modules"}
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$nested/init" "$root/init"
	cp "$kernel/lib/modules/$modules"/modules.* "$root/lib/modules/$modules/"
	for module in virtio/virtio virtio/virtio_ring virtio/virtio_pci virtio/virtio_pci_modern_dev \
		virtio/virtio_pci_legacy_dev block/virtio_blk char/virtio_console; do
		(cd "$kernel" && cp --parents "lib/modules/$modules/kernel/drivers/$module".ko* "$root")
	done
	(cd "$kernel" && cp --parents "lib/modules/$modules/kernel/fs/overlayfs/overlay".ko* "$root")
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$1"
	rm -rf "$root"
}

# ---- the machine --------------------------------------------------------------------------------

# qemu_command JOB THREADS: sets the array $qemu; THREADS is how its CPUs are emulated, "single" (one after the other) or
# "multi" (each in a thread of its own).
qemu_command() {
	local tick=

	# QEMU 7.2 at times loses a timer's interrupt while virtual machines run.  Another CPU's interrupts make up for it; a
	# machine with one CPU and a one-shot timer stands still for ever, with a periodic one for 4 ms.
	[ "$smp" -gt 1 ] || tick='highres=off nohz=off'
	qemu=(
		qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none
		-machine q35,vmport=off -accel "tcg,thread=$2" -cpu EPYC,+svm,+npt -smp "$smp" -m "$mem"
		-kernel "$kernel/vmlinuz" -initrd "$base/initramfs"
		-append "console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check nowatchdog kvm_amd.npt=1 $tick"
		-serial "file:$work/console"
		-drive "if=none,id=base,format=raw,readonly=on,file=$base/image" -device virtio-blk-pci,drive=base
		-drive "if=none,id=job,format=raw,cache=unsafe,file=$1" -device virtio-blk-pci,drive=job
		-device virtio-serial-pci
		-chardev "pipe,id=control,path=$work/control"
		-chardev "file,id=out,path=$work/out" -chardev "file,id=err,path=$work/err"
		-device virtserialport,nr=1,chardev=control
		-device virtserialport,nr=2,chardev=out
		-device virtserialport,nr=3,chardev=err
	)
}

# open_monitor: makes a pipe $work/monitor for the standard input of a machine with "-monitor stdio"; commands for it are
# written to descriptor 5, what it says is in $work/qemu.
open_monitor() {
	rm -f "$work/monitor"
	mkfifo "$work/monitor"
	exec 5<>"$work/monitor"
}

# start_machine OPTION...: starts $qemu with more options and this function's standard input; sets $machine to its process
# id.  Lines that the machine says on its control port can be read from descriptor 8, which ends when the machine
# ends; what is written to descriptor 9 reaches it.  It does not outlive this shell.
start_machine() {
	rm -f "$work/control.in" "$work/control.out"
	mkfifo "$work/control.in" "$work/control.out"
	: >"$work/out"
	: >"$work/err"
	exec 9<>"$work/control.in" 7<>"$work/control.out"
	exec 8<"$work/control.out"
	# Descriptor 7 stays open in the machine alone, so that reading from 8 ends when the machine does.
	setpriv --pdeathsig KILL "${qemu[@]}" "$@" >"$work/qemu" 2>&1 <&0 8<&- 9>&- &
	machine=$!
	exec 7>&-
}

# stop_machine SIGNAL
stop_machine() {
	[ -n "${machine:-}" ] || return 0
	kill -s "$1" "$machine" 2>/dev/null
	wait "$machine" 2>/dev/null
	machine=
}

# machine_failed TEXT: says why as far as the machine told
machine_failed() {
	{
		echo "nested: $*"
		grep -v "TCG doesn't support requested feature" "$work/qemu" | tail -n 5
		tail -n 15 "$work/console"
	} >&2
	exit "$failure"
}

# ---- saved state --------------------------------------------------------------------------------

# Sets $state, the file that holds a machine of $smp CPUs and $mem MiB that has booted $base.
find_state() {
	local key

	key=$(echo "${base##*/} $smp $mem $(stat -L -c '%s %Y' "$(command -v qemu-system-x86_64)")" | hash_of)
	state=$cache/state-$key
	[ -e "$state" ] || make_state
	touch "$state"
}

make_state() {
	local line

	note "booting and saving a machine with $smp CPUs and $mem MiB"
	truncate -s "$disk_size" "$work/empty"
	# One CPU after the other: while Linux boots, it rewrites instructions of its own that another CPU may just execute,
	# and QEMU before 8.1 then at times goes on with what it translated before.  To run virtual machines in it is another
	# matter (docs/testing.md): the saved machine goes on with "multi".
	qemu_command "$work/empty" single
	open_monitor
	start_machine -monitor stdio <"$work/monitor"
	read -r -t "$boot_limit" line <&8 || line="nothing within $boot_limit s"
	[ "$line" = ready ] || machine_failed "the machine has not booted: it says $line"
	printf '%s\n' 'migrate_set_parameter max-bandwidth 100G' "migrate \"exec:cat >'$work/state'\"" \
		'info migrate' quit >&5
	wait "$machine" # the monitor says what happened
	machine=
	exec 5<&-
	grep -q '^Migration status: completed' "$work/qemu" || machine_failed "the machine could not be saved"
	mv "$work/state" "$state"
}

# with_cache COMMAND...: runs it while nobody else makes things in $cache
with_cache() {
	mkdir -p "$cache"
	exec {lock}>"$cache/lock"
	flock "$lock"
	"$@"
	exec {lock}>&-
}

find_all() {
	find_kernel
	find_base
	find_state
	find "$cache" -mindepth 1 -maxdepth 1 \( -name 'base-*' -o -name 'state-*' \) -mtime +$keep_days -exec rm -rf {} +
}

# prepare: everything above; sets $kernel, $base and $state.
prepare() {
	with_cache find_all
}
