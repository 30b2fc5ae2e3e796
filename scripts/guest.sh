# shellcheck shell=bash disable=SC2034,SC2154
# What the scripts that boot a Linux guest have in common. They read it; `work` is their folder.

# Debian's kernel and busybox, unpacked and not installed.
fetch_guest() {
    packages=$(cargo run --quiet --locked --example packages -- linux-guest linux-image-cloud-amd64 busybox-static) ||
        return
    busybox=$packages/bin/busybox
    kernel=$(echo "$packages"/boot/vmlinuz-*)
}

# Begins the guest's root folder: busybox, and scripts/$1.init as the first process.
begin_root() {
    rm -rf "$work"
    mkdir -p "$work/root/bin"
    cp "$busybox" "$work/root/bin"
    install -m 755 "scripts/$1.init" "$work/root/init"
}

# Makes the guest's initramfs of its root folder.
pack_root() {
    (cd "$work/root" && find . | "$busybox" cpio -o -H newc) >"$work/initramfs" 2>/dev/null
}
