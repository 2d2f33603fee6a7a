#!/bin/sh
# Takes over the gateway of a network: its address and its hardware address are those of eth0, where the network is. The
# fabric is reached by eth1, whose hardware address is the same. What the fabric sends to machines it sends to their own
# hardware addresses, as if nothing stood here, so nobody has to learn anything when this comes or goes.
#
# Run again it changes what has changed. In any other stance than gateway it takes back all that it has done.
set -eu
. /run/weft/place.env
state=/run/gateway
# Of flows, and of the packets that go back: they are the fabric's own, as those of a published port are.
fabric=0x80000000
table=87

# tell VALUE FILE...: files of /proc/sys/net.
tell() {
    value=$1
    shift
    for file in "$@"; do
        echo "$value" >/proc/sys/net/"$file"
    done
}

# What this stands for; anything else has to be taken back before.
dump_stand() { echo "$PLACE_GATEWAY_MAC $PLACE_GATEWAY $PLACE_ADDRESSES_eth0 $PLACE_ADDRESSES_eth1"; }

leave() {
    [ -e $state ] || return 0
    # First the table that lets heartbeats pass: who does not route is dead.
    printf 'add table netdev gateway\ndelete table netdev gateway\nadd table inet gateway\ndelete table inet gateway\n' |
        /usr/sbin/nft -f -
    /bin/ip rule add pref 0 lookup local 2>/dev/null || true
    /bin/ip -force -batch - <<END >/dev/null 2>&1 || true
rule del pref 1
rule del pref 2
route flush table $table
neigh flush dev eth0
neigh flush dev eth1 nud permanent
addr flush dev eth0
addr flush dev eth1
link set eth0 promisc off
link set eth1 promisc off
END
    for nic in eth0 eth1; do
        /bin/ip link set $nic address "$(cat $state/$nic)"
    done
    tell 0 ipv4/conf/eth1/accept_local ipv6/conf/eth1/disable_ipv6
    rm -rf $state
}

# The fabric's frames are for the machines, and its packets may come from the gateway's address, which is this one's too.
enter() {
    mkdir -p $state
    for nic in eth0 eth1; do
        [ -e $state/$nic ] || cat /sys/class/net/$nic/address >$state/$nic
    done
    tell 1 ipv4/ip_forward ipv4/conf/eth1/accept_local
    tell 0 ipv4/conf/all/send_redirects ipv4/conf/eth0/send_redirects ipv4/conf/eth1/send_redirects
    tell 1 ipv6/conf/eth1/disable_ipv6
    {
        echo "link set eth0 address $PLACE_GATEWAY_MAC mtu $PLACE_MTU_eth0 promisc on up"
        echo "link set eth1 address $PLACE_GATEWAY_MAC mtu $PLACE_MTU_eth1 promisc on up"
        for address in $PLACE_ADDRESSES_eth0; do echo "addr replace $address dev eth0"; done
        for address in $PLACE_ADDRESSES_eth1; do echo "addr replace $address dev eth1"; done
        echo "neigh replace $PLACE_GATEWAY lladdr $PLACE_GATEWAY_MAC nud permanent dev eth1"
        echo "route replace $PLACE_GATEWAY dev eth1 src $own"
        echo "route replace default via $PLACE_GATEWAY dev eth1 src $own"
        echo "route replace default via $PLACE_GATEWAY dev eth1 table $table"
        # What is the fabric's goes there, though its address is this one's.
        echo "rule add pref 1 fwmark $fabric/$fabric lookup $table"
        echo "rule add pref 2 lookup local"
        echo "rule del pref 0"
    } | /bin/ip -batch -
    dump_stand >$state/stand
}

# They are known, so no packet has to wait until they have been asked for.
meet_neighbours() {
    for neighbour in $PLACE_NEIGHBOURS; do
        echo "neigh replace ${neighbour%,*} lladdr ${neighbour#*,} nud stale dev eth0"
    done | /bin/ip -batch -
}

# Questions for names are the fabric's to answer, unless a name server runs here.
dump_names() {
    [ ! -s /run/weft/dnsmasq.conf ] || return 0
    echo "iifname eth0 ip daddr $gateway meta l4proto { tcp, udp } th dport 53 dnat ip to $PLACE_GATEWAY"
}

# A chain for nat is always there: without one the kernel would not go on translating what it has begun.
dump_tables() {
    cat <<END
add table inet gateway
delete table inet gateway
table inet gateway {
  chain own {
    type filter hook prerouting priority mangle; policy accept;
    iifname eth1 ip saddr $gateway ct mark set ct mark | $fabric
    iifname eth0 ip daddr $gateway ct state new tcp flags & syn == 0 ct mark set ct mark | $fabric
    iifname eth0 ip daddr $gateway ct mark & $fabric != 0 meta mark set $fabric
  }
  chain names {
    type nat hook prerouting priority dstnat; policy accept;
    $(dump_names)
  }
}
add table netdev gateway
delete table netdev gateway
table netdev gateway {
  chain network {
    type filter hook ingress device eth0 priority 0; policy accept;
    ether type 0x88b5 fwd to eth1
    arp operation reply dup to eth1
  }
  chain fabric {
    type filter hook ingress device eth1 priority 0; policy accept;
    ether type 0x88b5 fwd to eth0
    arp operation request arp daddr ip != $own fwd to eth0
    meta pkttype set host
  }
}
END
}

if [ "$PLACE_STANCE" != gateway ]; then
    leave
    exit
fi
gateway=${PLACE_ADDRESSES_eth0%% *}
gateway=${gateway%/*}
own=${PLACE_ADDRESSES_eth1%%/*}
dump_stand | cmp -s - $state/stand || { leave; enter; }
meet_neighbours
dump_tables | /usr/sbin/nft -f -
