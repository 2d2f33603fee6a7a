#!/bin/sh
# Makes the name server what the settings say: names, leases, router advertisements. What it can read again while it runs
# interrupts nothing; another dnsmasq.conf is a restart, whose leases stay. What it refuses leaves it as it was.
set -eu
FROM=/run/weft
IN=/run/names
# As in weft.firewall.names: what is read again on SIGHUP, by the user that it has become.
AGAIN="dnsmasq.hosts dnsmasq.leases dnsmasq.servers"

is_running() { [ -s $IN/pid ] && kill -0 "$(cat $IN/pid)" 2>/dev/null; }
is_same() { cmp -s "$FROM/$1" "$IN/$1"; }

are_same() {
    for name in "$@"; do
        is_same "$name" || return 1
    done
}

start() { /usr/sbin/dnsmasq --conf-file=$IN/dnsmasq.conf; }

stop() {
    is_running || return 0
    pid=$(cat $IN/pid)
    kill "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || kill -9 "$pid" 2>/dev/null || true
        sleep 0.05
    done
    rm -f $IN/pid
}

# Each file is replaced whole, so one that is read meanwhile is the old one or the new one.
take() {
    for name in $AGAIN "$@"; do
        cp "$FROM/$name" "$IN/$name.new"
        chmod 644 "$IN/$name.new"
        mv "$IN/$name.new" "$IN/$name"
    done
}

keep() {
    rm -rf $IN/before
    mkdir $IN/before
    [ ! -s $IN/dnsmasq.conf ] || (cd $IN && cp -p dnsmasq.conf $AGAIN before/)
}

put_back() {
    [ -s $IN/before/dnsmasq.conf ] || { rm -f $IN/dnsmasq.conf; return; }
    cp -p $IN/before/* $IN/
    start 2>/dev/null || true
}

restart() {
    keep
    take dnsmasq.conf
    stop
    # What it says is the reason that apply gives.
    start || { put_back; return 1; }
}

check() { if /usr/sbin/dnsmasq --test --conf-file="$FROM/$1" 2>&1 | grep -v 'syntax check OK' >&2; then return 1; fi; }

mkdir -p $IN
if [ ! -s $FROM/dnsmasq.conf ]; then
    stop
    rm -f $IN/dnsmasq.conf
    exit
fi
# Most changes of settings are about rules, and should not wait for this.
if is_running && are_same dnsmasq.conf $AGAIN; then
    exit
fi
check dnsmasq.conf
check dnsmasq.servers
if ! is_same dnsmasq.conf || ! is_running; then
    restart
    exit
fi
take
kill -HUP "$(cat $IN/pid)"
