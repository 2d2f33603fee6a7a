# The rules: one table that is replaced in one step, so at no moment is there none, or half of one.

family=inet
[ "$PLACE_STANCE" != bridge ] || family=bridge

# Connections of before the firewall: for a while after it came to stand here they are let in. `since` is which coming
# that was, `takeover` is there while the time runs.
stands_anew() {
    [ "$WEFT_TAKEOVER" != 0 ] && ! echo "$PLACE_STANCE ${PLACE_SINCE:-}" | cmp -s - $state/since
}

load_rules() {
    fresh=
    if stands_anew; then
        fresh=yes
        : >$state/takeover
    fi
    dump_rules /run/weft/rules.nft /run/weft/takeover.nft >$state/new.nft
    nft -f $state/new.nft
    settle_takeover
    [ -z "$fresh" ] || end_takeover_later
}

# dump_rules RULES TAKEOVER: all of what is to be loaded. What another stance had is in the other family.
dump_rules() {
    for other in inet bridge; do
        [ $other = $family ] || printf 'add table %s weft\ndelete table %s weft\n' $other $other
    done
    cat "$1"
    [ ! -e $state/takeover ] || cat "$2"
}

# Its time may have ended while rules were loaded: then nobody else takes them out again.
settle_takeover() {
    [ -e $state/takeover ] || nft flush chain $family weft takeover 2>/dev/null || true
}

end_takeover_later() {
    [ ! -e $state/timer ] || kill "$(cat $state/timer)" 2>/dev/null || true
    /bin/sh -c "sleep $WEFT_TAKEOVER; rm -f $state/takeover $state/timer; nft flush chain $family weft takeover" \
        </dev/null >/dev/null 2>&1 &
    echo $! >$state/timer
}

keep_rules() {
    cp /run/weft/rules.nft $state/rules.nft
    cp /run/weft/takeover.nft $state/takeover.nft
    echo "$PLACE_STANCE ${PLACE_SINCE:-}" >$state/since
}

put_rules_back() {
    [ -e $state/rules.nft ] || return 0
    read -r stance _ <$state/since
    family=inet
    [ "$stance" != bridge ] || family=bridge
    dump_rules $state/rules.nft $state/takeover.nft | nft -f -
}
