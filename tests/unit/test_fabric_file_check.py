"""Checks of fabric files: each mistake at its place, all at once, and nothing about what is right."""

import textwrap

import pytest
from tests.unit.fabric_files import World

from weft.plan.fabric_file.check import check_file


def check(text: str, world: World | None = None) -> list[str]:
    """The problems of a file as lines without the file's name."""
    reading = check_file(textwrap.dedent(text).lstrip("\n"), "/etc/weft", world or World())
    return [problem.dump("")[1:] for problem in reading.problems]


def check_room(body: str, world: World | None = None) -> list[str]:
    """The same of a room: its lines begin with the third, in column 5."""
    return check("rooms:\n  acme:\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    "), world)


GOOD = """
networks:
  wan: { uplink: true }
  lan: { subnet: 10.20.1.0/24, gateway: fw, subnet6: "fd00:1::/64" }
machines:
  fw: { image: gate, networks: [wan, lan], settings: { lan: { mtu: 1400 }, names: "a, b" }, publish: ["8080:80"] }
  web: { image: web, networks: { lan: 10.20.1.10 }, after: fw, volumes: ["data:/srv"] }
  far: { image: docker.io/library/other, networks: none, pull: always }
  made: { build: /recipes/thing, settings: { mode: shut } }
inserts:
  tap: { appliance: sniffer, before: web, mode: copy }
  gate: { appliance: wall, before: network:wan }
"""


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert check_room(GOOD) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rooms: [", "2:1: not YAML: did not find expected node content while parsing a flow node"),
        ("a: b\n c: d", "2:3: not YAML: mapping values are not allowed in this context"),
        ("rooms: {a: {}, a: {}}", "1:16: key 'a' is there already, in line 1"),
        ("rooms: !!set {a}", "1:8: tag 'tag:yaml.org,2002:set': tags are not allowed"),
        ("rooms: {a: *b}", "1:12: there is no anchor 'b' before this"),
        ("rooms: {}\n---\nrooms: {}", "2:1: a second document: a file has one"),
        ("rooms: {? [a] : b}", "1:11: a key must be a text"),
        ("roms: {a: {}}", "1:1: roms: unknown key 'roms'; did you mean 'rooms'?"),
        ("", "1:1: there is no room in it: `rooms` is where they are"),
        ("[]", "1:1: must be a mapping, not a list"),
        ("rooms: {a: {networks: {x: {subnt: 10.0.0.0/24}}}}",
         "1:28: rooms.a.networks.x.subnt: unknown key 'subnt'; did you mean 'subnet'?"),
    ],
)  # fmt: skip
def test_what_is_no_fabric_file(text: str, problem: str) -> None:
    assert problem in check(text)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        # Networks.
        ("networks:\n  a: 10.1.0.0/16\n  b: { subnet: 10.1.2.0/24 }",
         "5:20: rooms.acme.networks.b.subnet: 10.1.2.0/24 overlaps with 10.1.0.0/16 of network 'a'"),
        ("networks: { a: { gateway: fw } }\nmachines: { fv: { image: base, networks: [a] } }",
         "3:31: rooms.acme.networks.a.gateway: no machine 'fw' in the room; there are fv"),
        ("networks: { a: {}, b: { gateway: fw } }\nmachines: { fw: { image: base, networks: [a] } }",
         "3:38: rooms.acme.networks.b.gateway: machine 'fw' has no NIC on this network, so it cannot be its gateway"),
        ("networks: { a: { gateway: fw, uplink: true } }\nmachines: { fw: { image: base, networks: [a] } }",
         "3:20: rooms.acme.networks.a: network 'a': the way out leads through the fabric, so no machine is its"
         " gateway"),
        ("networks: { a: 10.0.0.0/30 }",
         "3:20: rooms.acme.networks.a: subnet 10.0.0.0/30: the prefix must be between /8 and /29"),
        ("networks: { a: { dns: [ns] } }", "3:28: rooms.acme.networks.a.dns[0]: no machine 'ns' on this network"),
        ("networks: { a: { subnet6: 'fd00::/124' } }",
         "3:31: rooms.acme.networks.a.subnet6: subnet fd00::/124 has fewer addresses than 10.87.0.0/24 (take one like"
         " fd00:1::/64)"),
        # Addresses.
        ("networks: { a: 10.1.2.0/24 }\nmachines: { m: { image: base, networks: { a: 10.1.3.4 } } }",
         "4:50: rooms.acme.machines.m.networks.a: 10.1.3.4 is outside 10.1.2.0/24 of network 'a'"),
        ("networks: { a: 10.1.2.0/24 }\nmachines: { m: { image: base, networks: { a: 10.1.2.1 } } }",
         "4:50: rooms.acme.machines.m.networks.a: 10.1.2.1 is the gateway's of network 'a'"),
        ("networks: { a: 10.1.2.0/24 }\nmachines: { m: { image: base, networks: { a: 10.1.2.255 } } }",
         "4:50: rooms.acme.machines.m.networks.a: 10.1.2.255 stands for network 'a' as a whole"),
        ("networks: { a: }\nmachines: { m: { image: base, networks: { a: 10.1.2.255 } } }",
         "4:50: rooms.acme.machines.m.networks.a: network 'a' has no `subnet`, so no address of it can be chosen"),
        ("networks: { a: 10.1.2.0/24 }\nmachines:\n  m: { image: base, networks: { a: 10.1.2.9 } }\n"
         "  n: { image: base, networks: { a: { address: 10.1.2.9 } } }",
         "6:51: rooms.acme.machines.n.networks.a.address: 10.1.2.9 is machine 'm''s on network 'a'"),
        ("networks: { a: { subnet: 10.1.2.0/24, gateway: m } }\n"
         "machines: { m: { image: base, networks: { a: 10.1.2.9 } } }",
         "4:50: rooms.acme.machines.m.networks.a: the gateway of network 'a' has its first address, 10.1.2.1"),
        # Machines.
        ("machines: { m: { image: bas } }",
         "3:29: rooms.acme.machines.m.image: no image 'bas', and no `build` that says how to make it"),
        ("machines: { m: {} }", "3:17: rooms.acme.machines.m: `image` is needed, or `build`"),
        ("machines: { m: { build: ./nothing } }",
         "3:29: rooms.acme.machines.m.build: no recipe at /etc/weft/nothing/recipe.toml"),
        ("machines: { m: { build: ./No } }",
         "3:29: rooms.acme.machines.m.build: the folder is called 'No', which is no image's name: say `image` as well"),
        ("machines: { m: { image: docker.io/x, pull: never } }",
         "3:29: rooms.acme.machines.m.image: no image 'docker.io/x', and no `build` that says how to make it"),
        ("networks: { lan: }\nmachines: { m: { image: base, networks: [lna] } }",
         "4:46: rooms.acme.machines.m.networks[0]: no network 'lna' in the room; did you mean 'lan'?"),
        ("machines: { m: { image: base, kernel: mine } }", "3:43: rooms.acme.machines.m.kernel: no kernel 'mine'"),
        ("machines: { m: { image: base, memory: 16M } }",
         "3:43: rooms.acme.machines.m.memory: must be at least 32M, not 16M"),
        ("machines: { m: { image: base, memory: 8G } }", "3:43: rooms.acme.machines.m.memory: more than the host has"),
        ("machines: { m: { image: base, memory: 128M..16M } }",
         "3:43: rooms.acme.machines.m.memory: range '128M..16M' ends below its beginning (write it like 128M..2G)"),
        ("machines: { m: { image: base, memory: 16M..1G } }",
         "3:43: rooms.acme.machines.m.memory: must be at least 32M, not 16M..1G"),
        ("machines: { m: { image: base, memory: [64M] } }",
         "3:43: rooms.acme.machines.m.memory: must be a size, or a range like 128M..2G, not a list"),
        ("machines: { m: { image: base, memory: ..48M } }",
         "3:43: rooms.acme.machines.m.memory: machine 'm': it may grow to 48M of memory, and its image needs 64M"
         " (raise the maximum, or say a smaller minimum)"),
        ("machines: { m: { image: base, memory: 8G..9G } }",
         "3:43: rooms.acme.machines.m.memory: more than the host has"),
        ("machines: { m: { image: base, cpus: 1..65 } }",
         "3:41: rooms.acme.machines.m.cpus: must be at most 64, not 1..65"),
        ("machines: { m: { image: base, cpus: 1.. } }",
         "3:41: rooms.acme.machines.m.cpus: range '1..' has no end (write it like 1..4)"),
        ("machines: { m: { image: base, cpus: true } }",
         "3:41: rooms.acme.machines.m.cpus: must be a number, or a range like 1..4, not true"),
        ("machines: { m: { image: base, elastic: true } }",
         "3:44: rooms.acme.machines.m.elastic: needs room to grow: `cpus: 1..4`, or `memory: ..2G`"),
        ("machines: { m: { image: base, cpus: 2, memory: 64M, elastic: manual } }",
         "3:66: rooms.acme.machines.m.elastic: needs room to grow: `cpus: 1..4`, or `memory: ..2G`"),
        ("machines: { m: { image: base, cpus: 1..4, elastic: often } }",
         "3:56: rooms.acme.machines.m.elastic: must be 'auto' or 'manual', not 'often'"),
        ("machines: { m: { image: base, cpus: 1..4, elastic: { mod: auto } } }",
         "3:58: rooms.acme.machines.m.elastic.mod: unknown key 'mod'; did you mean 'mode'?"),
        ("machines: { m: { image: base, cpus: 1..4, elastic: { down_after: soon } } }",
         "3:70: rooms.acme.machines.m.elastic.down_after: must be a number, not 'soon'"),
        ("machines: { m: { image: base, cpus: 1..4, elastic: { cpu_busy: 120% } } }",
         "3:68: rooms.acme.machines.m.elastic.cpu_busy: must be at most 1, not 1.2"),
        ("machines: { m: { image: base, cpus: 1..4, elastic: { cpu_comfort: 0.95 } } }",
         "3:56: rooms.acme.machines.m.elastic: cpu_comfort 0.95 has to be below cpu_busy 0.9"),
        ("machines: { m: { image: base, max_restarts: 3 } }",
         "3:49: rooms.acme.machines.m.max_restarts: goes with `restart: on-failure` only"),
        ("machines: { m: { image: base, publish: 80, networks: none } }",
         "3:44: rooms.acme.machines.m.publish: a machine without a NIC has no ports"),
        ("machines: { m: { image: base, volumes: ['/missing:/x'] } }",
         "3:45: rooms.acme.machines.m.volumes[0]: no folder /missing"),
        # Systems of their own.
        ("machines: { m: { image: foreign, foreign: { cdroms: /missing } } }",
         "3:47: rooms.acme.machines.m.foreign: there is no /missing"),
        ("machines: { m: { image: foreign, profile: pc, foreign: { firmware: uefi } } }",
         "3:60: rooms.acme.machines.m.foreign: there is no UEFI firmware for old boards"),
        ("machines: { m: { image: foreign, foreign: { cdrom: /a.iso } } }",
         "3:49: rooms.acme.machines.m.foreign.cdrom: unknown key 'cdrom'; did you mean 'cdroms'?"),
        ("machines: { m: { image: plan9, foreign: { plan9: { ini_file: /missing } } } }",
         "3:66: rooms.acme.machines.m.foreign.plan9.ini_file: /missing cannot be read: no such file"),
        ("machines: { m: { image: base, foreign: { end: halt } } }",
         "3:20: rooms.acme.machines.m: image 'base' is a system of ours: its machines boot nothing else (take image "
         "foreign)"),
        ("machines: { m: { image: base, volumes: ['a:/x', 'b:/x'] } }",
         "3:20: rooms.acme.machines.m: machine 'm': two mounts at /x"),
        ("networks: { a: , b: , c: , d: , e: }\nmachines: { m: { image: base, networks: [a, b, c, d, e] } }",
         "4:20: rooms.acme.machines.m: machine 'm': a microvm has at most 4 NICs (profile q35 takes more)"),
        ("machines: { m: { image: base, after: [x] } }", "3:43: rooms.acme.machines.m.after[0]: no machine 'x' in the"
         " room; there are m"),
        ("machines:\n  a: { image: base, after: b }\n  b: { image: base, after: [c] }\n"
         "  c: { image: base, after: [a] }",
         "4:32: rooms.acme.machines.a.after: a circle of machines that wait for each other: a → b → c → a"),
        ("machines:\n  a: { image: base, after: b }\n  b: { image: base, state: stopped }",
         "4:32: rooms.acme.machines.a.after: machine 'b' is to be stopped, so nothing can be up after it"),
        ("machines:\n  a: { image: base, volumes: 'data:/x' }\n  b: { image: base, volumes: ['data:/x:ro'] }",
         "5:35: rooms.acme.machines.b.volumes[0]: volume 'data' is machine 'a''s at the same time; only readers can"
         " share one"),
        ("machines:\n  a: { image: base, publish: ['8080:80', '127.0.0.1:8080:81'] }",
         "4:46: rooms.acme.machines.a.publish[1]: port 8080 of the host leads to machine 'a' of room 'acme' already"),
        # Inserts.
        ("inserts: { i: { appliance: sniffer, before: web } }",
         "3:49: rooms.acme.inserts.i.before: no machine 'web' in the room"),
        ("machines: { m: { image: base, networks: none } }\ninserts: { i: { appliance: sniffer, before: m } }",
         "4:49: rooms.acme.inserts.i.before: machine 'm' has 0 NICs, so none with number 0"),
        ("inserts: { i: { appliance: sniffer, before: 'network:lan' } }",
         "3:49: rooms.acme.inserts.i.before: no network 'lan' in the room"),
        ("networks: { lan: { gateway: m } }\nmachines: { m: { image: base, networks: [lan] } }\n"
         "inserts: { i: { appliance: sniffer, before: 'network:lan' } }",
         "5:49: rooms.acme.inserts.i.before: the gateway of network 'lan' is machine 'm': insert before its NIC"),
        ("machines: { m: base }\ninserts: { i: { appliance: base, before: m } }",
         "4:32: rooms.acme.inserts.i.appliance: image 'base' is no appliance: it has no network and machine side"),
        ("machines: { m: base }\ninserts: { i: { appliance: wall, before: m, mode: copy } }",
         "4:55: rooms.acme.inserts.i.mode: image 'wall' is not made for mode copy; it can be inline"),
        ("machines: { m: base }\ninserts: { i: { appliance: rout, before: m, mode: routed } }",
         "4:46: rooms.acme.inserts.i.before: a routed insert takes over a network's gateway: it goes before"
         " network:NETWORK"),
        ("machines: { m: base }\ninserts: { m: { appliance: sniffer, before: m } }",
         "4:16: rooms.acme.inserts.m: a machine is called 'm': an insert's machine has its name"),
        # Settings.
        ("machines: { m: { image: gate, settings: { lan: { mtu: 9 } } } }",
         "3:59: rooms.acme.machines.m.settings.lan.mtu: 9 is below the minimum of 576"),
        ("machines: { m: { image: gate, settings: { lan.mtu: some } } }",
         "3:56: rooms.acme.machines.m.settings.lan.mtu: 'some' is not an integer"),
        ("machines: { m: { image: gate, settings: { mod: open } } }",
         "3:47: rooms.acme.machines.m.settings.mod: there is no such setting; did you mean 'mode'?"),
        ("machines: { m: base }\ninserts: { i: { appliance: wall, before: m, settings: { mode: ajar } } }",
         "4:67: rooms.acme.inserts.i.settings.mode: 'ajar' is none of open, shut"),
        ("machines: { m: { image: docker.io/library/nginx:1, settings: { a: b } } }",
         "3:66: rooms.acme.machines.m.settings: image 'docker.io/library/nginx:1' is no appliance and has no settings"),
        ("machines: { m: { image: gate, settings_file: s.toml } }",
         "3:50: rooms.acme.machines.m.settings_file: /etc/weft/s.toml cannot be read: no such file"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_places(body: str, problem: str) -> None:
    assert check_room(body) == [problem]


def test_all_mistakes_are_told_at_once() -> None:
    problems = check_room(
        """
        networks: { lan: { subnet: 10.1.2.0/24, gatway: fw }, dmz: 10.1.2.128/25 }
        machines:
          fw: { image: gate, memory: much, settings: { mode: ajar } }
          web: { image: wob, networks: [lan, dnz], after: [wall] }
        inserts:
          tap: { appliance: sniffer, mode: inlin }
        """
    )
    assert [problem.split(": ", 2)[1] for problem in problems] == [
        "rooms.acme.networks.lan.gatway",
        "rooms.acme.networks.dmz",
        "rooms.acme.machines.fw.memory",
        "rooms.acme.machines.fw.settings.mode",
        "rooms.acme.machines.web.image",
        "rooms.acme.machines.web.networks[1]",
        "rooms.acme.machines.web.after[0]",
        "rooms.acme.inserts.tap",
        "rooms.acme.inserts.tap.mode",
    ]


def test_more_memory_than_the_host_has_is_worth_a_word() -> None:
    body = "machines: { a: { image: base, memory: 128M }, b: base }"
    assert check_room(body, World(memory=192 << 20)) == []
    assert check_room(body, World(memory=191 << 20)) == [
        "2:3: rooms: warning: all machines together may take 192M; the host has 191M"
    ]


def test_files_that_are_named_are_taken_in() -> None:
    world = World({"/etc/weft/app.env": "# mine\nA=1\nB=2\n", "/etc/weft/gate.toml": 'mode = "shut"\nlan.mtu = 1400\n'})
    body = "rooms: {acme: {machines: {m: {image: gate, env: {B: 3}, env_file: app.env, settings_file: gate.toml,"
    reading = check_file(body + " settings: {lan.mtu: 1300}}}}}", "/etc/weft", world)
    assert reading.problems == []
    machine = reading.file.rooms["acme"].machines["m"]
    assert machine.env == {"A": "1", "B": "3"}
    assert machine.settings == {"mode": "shut", "lan.mtu": 1300}
    assert (machine.env_file, machine.settings_file) == ((), None)


def test_ten_equal_customers() -> None:
    room = "    networks: &networks { lan: 10.1.2.0/24 }\n    machines: &machines { m: base }\n"
    text = "x-room: &room\n" + room.replace("    ", "  ") + "rooms:\n  first: *room\n"
    text += "".join(f"  c{number}: {{ <<: *room, description: customer {number} }}\n" for number in range(9))
    reading = check_file(text, "/", World())
    assert reading.problems == []
    assert len(reading.file.rooms) == 10 and reading.file.rooms["c8"].description == "customer 8"
    assert (
        len({room.model_copy(update={"description": ""}).model_dump_json() for room in reading.file.rooms.values()})
        == 1
    )


def test_a_text_that_comes_to_too_much() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert check("\n".join(lines)) == ["5:5: this comes to more than 50000 values, with its anchors"]
    assert check("a: " + "[" * 40) == ["1:36: more than 32 levels"]
    assert check("a: " + "x" * (1 << 20)) == ["1:1: the file is larger than 1 MiB"]


def test_a_rule_about_a_machine_that_the_room_does_not_have_is_a_slip() -> None:
    body = """
    machines:
      web: base
      fw:
        image: fire
        settings:
          sets: ["pair = wbe, 10.0.0.1"]
          rules: [accept any -> any to web, drop any -> any from @pair]
    """
    (problem,) = check_room(body)
    assert problem.endswith("fw.settings.sets[0]: there is no machine 'wbe' in this room; did you mean 'web'?")
