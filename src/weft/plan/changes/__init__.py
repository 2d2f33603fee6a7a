"""From a room as it is to a room as it is wanted: ordered steps, each with its reason and what has to be done before.

Pure. What a file names is made as the file says; what a file named once and names no more is removed; what no file ever
named is somebody's own work, and left alone. What a file does not say is no difference: it stays as it was given.

`plan_changes` and `plan_down` (in `changes`) make plans, for a file that `check_file` has nothing against. What is on
record of a room as `applied` is a `Named` as JSON: before a plan is carried out `join_named` of what was there and
what the file names, when all of it is done `name_parts` of the file's room. So whatever fails in the middle, the next
plan goes on from what is there then.

What each step asks of those who carry it out, besides what its verb says:

* image build, pull: `name` is the image, `recipe` its folder. Images are the fabric's, so `room` is empty. After a
  build that was wished for, machines that run on what was there before are `outdated`: look again, and plan with
  `Wishes(renew=True)`.
* room create, change (its description, its isolation), remove (it is empty but for networks that nobody asked for).
* network create (no subnet: any that is free), change (uplink and name servers only, with machines on it), remove
  (nothing is on it any more).
* volume create, change (labels; larger, while nobody runs with it), remove.
* machine create (with `settings`; started unless `start` is False), change (`spec` is the whole of it; a restart, told
  in `restarts`, when it runs and a part needs one), configure, start, stop, remove (with inserts before it).
* insert create (`spec` has its own name and its place in the chain; `stands_for` what the file calls it), change (fail
  policy and lifetime), configure, start (its machine failed, or hangs), remove.
* pool create, change (`spec` is the whole of it), remove. Nobody waits until it is filled.
"""
