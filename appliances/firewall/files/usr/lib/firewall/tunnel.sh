#!/bin/sh
# Makes wg0 what wg0.conf and wg0.net say, by what is different: tunnels that stay are not interrupted.
# With the word `endpoints`: looks up the names of peers, again and again; that is what it leaves running.
set -eu
FROM=/run/weft
IN=/run/tunnel
# A peer that has not been heard of for so long may have moved: a session lives for three minutes.
SILENCE=180
PAUSE=10

# lines WORD: the values of wg0.net that begin with it.
lines() { sed -n "s/^$1 //p" $FROM/wg0.net | sort -u; }

# An address of one machine is printed without its length.
whole() { awk '{ print ($1 ~ /\//) ? $1 : $1 (($1 ~ /:/) ? "/128" : "/32") }' | sort -u; }

addresses() { /bin/ip -o address show dev wg0 scope global | awk '{ print $4 }' | sort -u; }

routes() { { /bin/ip route show dev wg0 proto static; /bin/ip -6 route show dev wg0 proto static; } | whole; }

# change FOUND WANTED COMMAND…: first what is missing, then what is too much.
change() {
    found=$1 wanted=$2
    shift 2
    for one in $wanted; do
        has "$one" "$found" || /bin/ip "$1" add "$one" dev wg0 $2
    done
    for one in $found; do
        has "$one" "$wanted" || /bin/ip "$1" del "$one" dev wg0 $2
    done
}

has() { case " $(echo $2) " in *" $1 "*) ;; *) return 1 ;; esac; }

# Endpoints that are names, as `KEY HOST:PORT`. An address is in brackets, or nothing but digits and dots.
named() {
    awk '$1 == "PublicKey" { key = $3 }
         $1 == "Endpoint" && $3 !~ /^(\[.*\]|[0-9.]+):[0-9]+$/ { print key, $3 }' $FROM/wg0.conf
}

# wg waits for names; so it is not told of them here.
without_names() { awk '$1 != "Endpoint" || $3 ~ /^(\[.*\]|[0-9.]+):[0-9]+$/' $FROM/wg0.conf; }

end_lookups() {
    # With all that it waits for: a late answer must not bring a peer back that has gone.
    [ ! -s $IN/pid ] || kill -- "-$(cat $IN/pid)" 2>/dev/null || true
    rm -f $IN/pid
}

is_silent() {
    /usr/bin/wg show wg0 latest-handshakes | awk -v key="$1" -v since=$(($(date +%s) - SILENCE)) \
        '$1 == key && $2 > since { heard = 1 } END { exit heard }'
}

look_up() {
    while read -r key endpoint; do
        ! is_silent "$key" || WG_ENDPOINT_RESOLUTION_RETRIES=0 /usr/bin/wg set wg0 peer "$key" endpoint "$endpoint" || true
    done <$IN/names
}

mkdir -p $IN
chmod 700 $IN
if [ "${1:-}" = endpoints ]; then
    while :; do
        look_up
        sleep $PAUSE
    done
fi

# Most changes of settings are about rules, and should not wait for this.
if [ -e /sys/class/net/wg0 ] && cmp -s $FROM/wg0.conf $IN/wg0.conf && cmp -s $FROM/wg0.net $IN/wg0.net; then
    exit
fi
end_lookups
rm -f $IN/wg0.conf
if [ ! -s $FROM/wg0.conf ]; then
    [ ! -e /sys/class/net/wg0 ] || /bin/ip link del wg0
    exit
fi
[ -e /sys/class/net/wg0 ] || /bin/ip link add wg0 type wireguard
umask 077
without_names >$IN/conf
/usr/bin/wg syncconf wg0 $IN/conf
change "$(addresses)" "$(lines address)" address ''
/bin/ip link set wg0 mtu "$(lines mtu)" up
change "$(routes)" "$(lines route)" route 'proto static'
named >$IN/names
if [ -s $IN/names ]; then
    setsid /bin/sh "$0" endpoints </dev/null >/dev/null 2>&1 &
    echo $! >$IN/pid
fi
# Whole now; what is cut short is done again the next time.
cp $FROM/wg0.net $FROM/wg0.conf $IN/
