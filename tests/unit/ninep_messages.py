"""Any message of 9P2000, for tests."""

from hypothesis import strategies as st

from weft.ninep import messages as m
from weft.ninep.words import Qid, QidType, Stat

u8, u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
data = st.binary(max_size=60)
qids = st.builds(Qid, u8.map(QidType), u32, u64)
stats = st.builds(Stat, qids, u32, texts, u64, u32, u32, texts, texts, texts, u16, u32)
names = st.lists(texts, max_size=m.MAX_WALK).map(tuple)
walked = st.lists(qids, max_size=m.MAX_WALK).map(tuple)

requests = st.one_of(
    st.builds(m.Tversion, u32, texts),
    st.builds(m.Tauth, u32, texts, texts),
    st.builds(m.Tattach, u32, u32, texts, texts),
    st.builds(m.Tflush, u16),
    st.builds(m.Twalk, u32, u32, names),
    st.builds(m.Topen, u32, u8),
    st.builds(m.Tcreate, u32, texts, u32, u8),
    st.builds(m.Tread, u32, u64, u32),
    st.builds(m.Twrite, u32, u64, data),
    st.builds(m.Tclunk, u32),
    st.builds(m.Tremove, u32),
    st.builds(m.Tstat, u32),
    st.builds(m.Twstat, u32, stats),
)
replies = st.one_of(
    st.builds(m.Rversion, u32, texts),
    st.builds(m.Rauth, qids),
    st.builds(m.Rattach, qids),
    st.builds(m.Rerror, texts),
    st.just(m.Rflush()),
    st.builds(m.Rwalk, walked),
    st.builds(m.Ropen, qids, u32),
    st.builds(m.Rcreate, qids, u32),
    st.builds(m.Rread, data),
    st.builds(m.Rwrite, u32),
    st.just(m.Rclunk()),
    st.just(m.Rremove()),
    st.builds(m.Rstat, stats),
    st.just(m.Rwstat()),
)
messages = requests | replies
