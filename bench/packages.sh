#!/bin/sh
# Installs the Debian packages of the peers, when it may. It never fails: the benchmark says what it misses. No service
# of theirs is used; the benchmark starts its own, with its own configuration, in its own directory.
set -u
packages="dovecot-core dovecot-lmtpd maildrop openssl linux-perf"

missing=""
for package in $packages; do
	dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "packages.sh: not root, so these are not installed:$missing"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# Packages may start services, unless this says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "packages.sh: could not install:$missing"
exit 0
