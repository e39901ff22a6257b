#!/bin/sh
# dpkg calls this with "remove", then perhaps "purge"; rpm with the number of versions that stay.
set -e

case "$1" in
remove | purge | 0 | 1) ;;
*) exit 0 ;;
esac

journalctl --update-catalog || true
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi

if [ "$1" = purge ]; then
	rm -rf /etc/aaau /run/aaau
	# People's records and the agents' homes are not a package's to delete.
	if [ -d /var/log/aaau ] || [ -d /var/lib/aaau ]; then
		echo 'aaau: kept the records in /var/log/aaau and the homes and anchors in /var/lib/aaau, with the accounts and groups that own them'
	fi
fi
