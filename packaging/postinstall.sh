#!/bin/sh
# dpkg calls this with "configure [OLD VERSION]", rpm with the number of versions now installed.
set -e

case "$1" in
configure) upgrade=$2 ;;
1) upgrade= ;;
[2-9]*) upgrade=yes ;;
*) exit 0 ;;
esac

systemd-sysusers aaau.conf
# What it cannot make here (in a chroot, say) is made at the next boot.
systemd-tmpfiles --create aaau.conf || true
# Without it journalctl -x explains nothing, and all else works.
journalctl --update-catalog || true

if [ -n "$upgrade" ] && ! aaau-server check >&2; then
	echo 'aaau: the configuration has these mistakes for this version; when they are mended: systemctl reload-or-restart aaau' >&2
fi

# In a chroot or an image no systemd runs, and there is nothing to tell it.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
# Sessions outlive their bridge, and people in them notice nothing: the new one takes them back.
if [ -n "$upgrade" ]; then
	systemctl try-restart aaau-launcher.service aaau.service || true
fi
