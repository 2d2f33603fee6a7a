# The rules: one table that is replaced in one step, so at no moment is there none, or half of one. Until then nothing is
# started but nft itself: an emulated machine takes its time for each program.

family=inet other=bridge
[ "$PLACE_STANCE" != bridge ] || family=bridge other=inet

# Connections of before the firewall: for a while after it came to stand here they are let in. `since` is which coming
# that was, `takeover` is there while the time runs.
stands_anew() {
    [ "$WEFT_TAKEOVER" != 0 ] && [ "$before" != "$PLACE_STANCE ${PLACE_SINCE:--}" ]
}

load_rules() {
    before= fresh= elsewhere=
    [ ! -e $state/since ] || read -r before <$state/since
    [ "${before%% *}" = "$PLACE_STANCE" ] || elsewhere=yes
    ! stands_anew || fresh=yes
    [ -z "$fresh" ] || : >$state/takeover
    load /run/weft
    [ -z "$fresh" ] || end_takeover_later
}

# load FOLDER: its rules. Those of another stance, which are of the other family, go in the same step.
load() {
    taking=
    [ ! -e $state/takeover ] || taking=yes
    {
        [ -z "$elsewhere" ] || printf 'add table %s weft\ndelete table %s weft\n' $other $other
        printf 'include "%s/rules.nft"\n' "$1"
        [ -z "$taking" ] || printf 'include "%s/takeover.nft"\n' "$1"
    } >$state/load.nft
    nft -f $state/load.nft
    # The time may have ended meanwhile: then nobody else takes them out again.
    [ -z "$taking" ] || [ -e $state/takeover ] || nft flush chain $family weft takeover
}

end_takeover_later() {
    [ ! -e $state/timer ] || kill "$(cat $state/timer)" 2>/dev/null || true
    /bin/sh -c "sleep $WEFT_TAKEOVER; rm -f $state/takeover $state/timer; nft flush chain $family weft takeover" \
        </dev/null >/dev/null 2>&1 &
    echo $! >$state/timer
}

keep_rules() {
    cp /run/weft/rules.nft /run/weft/takeover.nft $state/
    echo "$PLACE_STANCE ${PLACE_SINCE:--}" >$state/since
}

put_rules_back() {
    [ -e $state/since ] || return 0
    read -r stance _ <$state/since
    family=inet other=bridge
    [ "$stance" != bridge ] || family=bridge other=inet
    load $state
}
