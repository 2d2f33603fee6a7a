"""What a kernel is told of a root with a hash tree."""

from weft.model.image import Verity
from weft.plan.verity import verity_arguments


def test_the_table_names_disk_blocks_tree_and_hash() -> None:
    (argument,) = verity_arguments(Verity(root_hash="ab" * 32, salt="cd" * 32, blocks=294, tree=295))
    table = "0 2352 verity 1 /dev/vda /dev/vda 4096 4096 294 295 sha256"
    assert argument == f'dm-mod.create="root,,,ro,{table} {"ab" * 32} {"cd" * 32}"'
