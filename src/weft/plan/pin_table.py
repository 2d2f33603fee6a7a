"""The rules that hold ports to what is their own, as nft reads them. What a port's own is stands in sets (`pins`)."""

from enum import IntEnum

TABLE = "bridge weft"


class Forgery(IntEnum):
    """What a frame claimed that is not its sender's own. The number is the frame's mark on its way to its end."""

    MAC = 1
    ARP = 2
    ADDRESS = 3
    NEIGHBOUR = 4
    SERVICE = 5
    FRAME = 6


SETS = """\
  map ports { type ifname : verdict; }
  set stations { type ifname . ether_addr; }
  set clients { typeof iifname . @th,288,48; }
  set options { typeof iifname . @th,192,64; }
  set sources { type ifname . ipv4_addr; }
  set sources6 { type ifname . ipv6_addr; }
  set targets { typeof iifname . @th,64,128; }
  set inside { type ifname . ipv4_addr; flags interval; }
  set inside6 { type ifname . ipv6_addr; flags interval; }
  set behind { type ifname . ipv4_addr; flags interval; }
  set behind6 { type ifname . ipv6_addr; flags interval; }
  set forged { type ifname . mark; counter; }
"""
"""Of each port, by the name of its link: its chain, and what it may say. What nft has no name for stands here with its
place in bits behind the header of IP: at 64 the address that a message of neighbour discovery is about, or a router
solicitation's options; at 192 the other messages' options (RFC 4861, 4.3); at 288 the hardware address for which a
question to a DHCP server asks (RFC 2131, 2), behind UDP's header. `inside`: ranges in which a router may be itself
only; `behind`: ranges that a machine may speak for. `forged` counts what was dropped."""

# Chains end by `accept`, or by coming to their end after a `goto`: what passes a base chain is let in.
_ENTRY = """\
  chain entry {
    type filter hook prerouting priority -300; policy accept;
    ether type 0x88b5 drop
    iifname vmap @ports
    drop
  }
  chain inward {
    type filter hook input priority -300; policy drop;
  }
"""
"""Heartbeats belong into chains of inserts and nowhere else; a port that is in no set is none of ours, or not yet.

What a bridge takes for itself it learns from, and some of it does not come by the entry: frames to addresses that IEEE
802.1D reserves. A bridge of ours has nothing to say for itself. LLDP it takes without asking any rule, unless it is to
pass that on, as ours are (`weft.host.rtnl`)."""

_MACHINE = """\
  chain machine {
    jump station
    udp dport 67 jump client
    udp sport { 67, 547 } goto SERVICE
    icmpv6 type { nd-router-advert, nd-redirect } goto SERVICE
    jump own
    iifname . ip saddr @behind accept
    iifname . ip6 saddr @behind6 accept
    ether type { ip, ip6 } goto ADDRESS
  }
  chain client {
    iifname . @th,288,48 @clients return
    goto SERVICE
  }
"""

_ROUTER = """\
  chain router {
    jump station
    jump own
    iifname . ip saddr @inside goto ADDRESS
    iifname . ip6 saddr @inside6 goto ADDRESS
  }
"""

_STATION = """\
  chain station {
    iifname . ether saddr != @stations goto MAC
    ether type arp goto speaker
    ether type { 8021q, 8021ad, 0x9100 } goto FRAME
    ether daddr 01:80:c2:00:00:0e goto FRAME
    ether type < 0x0600 goto FRAME
    exthdr frag exists ip6 hoplimit 255 meta l4proto ipv6-icmp goto NEIGHBOUR
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } jump neighbour
  }
  chain speaker {
    arp htype != 1 goto ARP
    arp ptype != ip goto ARP
    arp hlen != 6 goto ARP
    arp plen != 4 goto ARP
    iifname . arp saddr ether != @stations goto ARP
    iifname . arp saddr ip @sources accept
    arp operation request arp saddr ip 0.0.0.0 iifname . arp daddr ip @sources accept
    goto ARP
  }
"""
"""LLDP is for the next station; it comes here, as all else, because its sender has to be looked at. Tags and the frames
of IEEE 802.3 can have other frames in them, which nobody would look at. Messages of neighbour discovery are not
fragmented (RFC 6980), and arrive with the hop limit with which they were sent."""

_NEIGHBOUR = """\
  chain neighbour {
    icmpv6 type nd-router-solicit ip6 length 8 return
    icmpv6 type nd-router-solicit ip6 length 16 iifname . @th,64,64 @options return
    icmpv6 type nd-router-solicit goto NEIGHBOUR
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets goto NEIGHBOUR
    ip6 saddr :: iifname . @th,64,128 != @targets goto NEIGHBOUR
    ip6 saddr :: return
    ip6 length 24 return
    ip6 length 32 iifname . @th,192,64 @options return
    goto NEIGHBOUR
  }
"""
"""The lengths leave room for the one option that these messages have, and for no header before them."""

_OWN = """\
  chain own {
    iifname . ip saddr @sources accept
    iifname . ip6 saddr @sources6 accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    ip saddr 0.0.0.0 ip protocol igmp accept
    ip6 saddr :: icmpv6 type { nd-router-solicit, nd-neighbor-solicit } accept
    ip6 saddr :: icmpv6 type { mld-listener-report, mld2-listener-report } accept
  }
"""
"""Who has no address yet asks for one, and says which groups it listens to."""


def plan_table() -> str:
    """The table without an element, as it stands between its braces."""
    ends = "".join(f"  chain {kind.name} {{ meta mark set {kind:d} goto end; }}\n" for kind in Forgery)
    return f"{SETS}  chain end {{ iifname . meta mark @forged drop; drop; }}\n{ends}{_CHAINS}"


_CHAINS = _OWN + _NEIGHBOUR + _STATION + _MACHINE + _ROUTER + _ENTRY
