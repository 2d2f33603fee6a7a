"""Places for tests of the firewall's settings."""

from weft.model.place import Neighbour, Place, Stance, Zone

LAN = Zone(
    name="lan",
    nic="eth1",
    mac="52:57:00:00:01:01",
    addresses=("10.1.0.1/24", "fd00:1::1/64"),
    subnets=("10.1.0.0/24", "fd00:1::/64"),
)
DMZ = Zone(name="dmz", nic="eth2", mac="52:57:00:00:01:02", addresses=("10.2.0.1/24",), subnets=("10.2.0.0/24",))
WAN = Zone(
    name="wan",
    nic="eth0",
    mac="52:57:00:00:01:00",
    addresses=("10.0.0.2/24",),
    subnets=("10.0.0.0/24",),
    uplink=True,
)
ROUTER = Place(stance=Stance.ROUTER, zones=(WAN, LAN, DMZ), gateway="10.0.0.1", resolvers=("10.0.0.1",))
BRIDGE = Place(
    stance=Stance.BRIDGE,
    zones=(Zone(name="network", nic="eth0", mac=WAN.mac), Zone(name="machine", nic="eth1", mac=LAN.mac)),
)
NEIGHBOURS = (Neighbour(zone="lan", name="web", address="10.1.0.120", mac="52:57:00:00:00:07"),)
