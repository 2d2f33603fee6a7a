# The way that packets take: routed between NICs, or across a bridge of two.

# tell VALUE FILE...: files of /proc/sys/net.
tell() {
    value=$1
    shift
    for file in "$@"; do
        echo "$value" >/proc/sys/net/"$file"
    done
}

take_way() {
    size_table
    [ "$PLACE_STANCE" = bridge ] || leave_bridge
    [ "$PLACE_STANCE" = gateway ] || /bin/sh $parts/gateway.sh
    case $PLACE_STANCE in
    router) forward ;;
    bridge) join_bridge ;;
    gateway)
        forward
        /bin/sh $parts/gateway.sh
        ;;
    esac
}

# A connection takes some 400 bytes: a quarter of the memory at most. What it did not see begin, and what it cannot follow
# because it came late, is for the rules to judge.
size_table() {
    [ ! -e $state/sized ] || return 0
    memory=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
    tell $((memory / 2)) netfilter/nf_conntrack_max
    tell $((memory / 4)) netfilter/nf_conntrack_buckets
    tell 1 netfilter/nf_conntrack_tcp_loose netfilter/nf_conntrack_tcp_be_liberal netfilter/nf_conntrack_acct
    tell 86400 netfilter/nf_conntrack_tcp_timeout_established
    : >$state/sized
}

forward() {
    for nic in all default $PLACE_NICS; do
        [ -e /proc/sys/net/ipv4/conf/$nic ] || continue
        tell 2 ipv4/conf/$nic/rp_filter
        tell 0 ipv4/conf/$nic/send_redirects ipv4/conf/$nic/accept_redirects ipv4/conf/$nic/accept_source_route
        tell 0 ipv6/conf/$nic/accept_redirects
    done
    tell 1 ipv4/ip_forward ipv6/conf/all/forwarding
}

# Like a piece of wire that looks: it says nothing of its own, learns nothing that could be wrong at another place, and
# lets frames of switches pass, too.
join_bridge() {
    tell 0 ipv4/ip_forward ipv6/conf/all/forwarding
    [ ! -e /sys/class/net/br0 ] || return 0
    tell 1 ipv6/conf/all/disable_ipv6
    /bin/ip -batch - <<END
link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 vlan_filtering 0 group_fwd_mask 0xfff8
link set eth0 master br0
link set eth1 master br0
link set eth0 type bridge_slave learning off group_fwd_mask 0xfffd
link set eth1 type bridge_slave learning off group_fwd_mask 0xfffd
link set br0 up
END
}

leave_bridge() {
    [ -e /sys/class/net/br0 ] || return 0
    /bin/ip link del br0
    tell 0 ipv6/conf/all/disable_ipv6
}
