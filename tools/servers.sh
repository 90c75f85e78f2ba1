#!/usr/bin/env bash
# Installs the servers that tests talk to, where the machine allows it; otherwise says what is left out and how to get it.
# With CI=true a missing server is a failure.
set -u

# program : Debian package : what its tests prove
needs="
mosquitto:mosquitto:agent and collector against Mosquitto
influxd:influxdb:the InfluxDB writer against a real server
chromium:chromium:the page in a browser
chromedriver:chromium-driver:the page in a browser
systemd-analyze:systemd:the service units
"
have() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }
missing() {
    while IFS=: read -r program package what; do
        [ -n "$program" ] && ! have "$program" && echo "$program:$package:$what"
    done <<<"$needs"
    fc-list 2>/dev/null | grep -qi 'wqy\|noto.*cjk' || echo "-:fonts-wqy-microhei:Chinese text on the page"
}

lacking=$(missing)
[ -z "$lacking" ] && exit 0
packages=$(cut -d: -f2 <<<"$lacking" | sort -u | tr '\n' ' ')
fc-list >/dev/null 2>&1 || packages="$packages fontconfig"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "make: installing for the tests: $packages" >&2
    # The tests start servers of their own on free ports; the distribution's services stay off.
    policy=/usr/sbin/policy-rc.d
    made=""
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/dev/null 2>&1
    for package in $packages; do
        apt-get install -y -q --no-install-recommends "$package" >/dev/null 2>&1 || echo "make: $package could not be installed" >&2
    done
    [ -n "$made" ] && rm -f "$policy"
fi
lacking=$(missing)
[ -z "$lacking" ] && exit 0
echo "make: these tests are left out:" >&2
while IFS=: read -r program package what; do echo "  $what ($package)" >&2; done <<<"$lacking"
echo "make: to run them: sudo apt-get install $(cut -d: -f2 <<<"$lacking" | sort -u | tr '\n' ' ')" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
