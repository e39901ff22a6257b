#!/bin/sh
# dpkg calls this with "remove" (or "upgrade NEW"), rpm with the number of versions that stay.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ ! -d /run/systemd/system ]; then
	systemctl --quiet disable aaau.socket aaau-launcher.socket || true
	exit 0
fi

# Agents end while the bridge still records it; then nobody new gets in (which ends the bridge too);
# then whoever slipped in between.
systemctl stop aaau.slice || true
systemctl --quiet disable --now aaau.socket aaau-launcher.socket || true
systemctl stop aaau.slice || true
# A frozen scope refuses to stop (systemd 257), yet can be killed; thawed, it is then found empty.
systemctl kill --signal=KILL 'aaau-*.scope' 2>/dev/null || true
systemctl thaw 'aaau-*.scope' 2>/dev/null || true
systemctl stop aaau.service aaau-launcher.service || true
# What it stored goes with it (before systemd 254 it has gone by itself).
systemctl clean --what=fdstore aaau.service 2>/dev/null || true
