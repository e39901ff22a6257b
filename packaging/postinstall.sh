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

# In a chroot or an image no systemd runs, and there is nothing to tell it.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
# A restart of the bridge ends its sessions, so it is for the administrator to choose when.
if [ -n "$upgrade" ] && systemctl --quiet is-active aaau.service; then
	echo 'aaau: the bridge goes on as it was, with its sessions; for the new version, when they may end:'
	echo '  sudo systemctl restart aaau.service aaau-launcher.service'
fi
