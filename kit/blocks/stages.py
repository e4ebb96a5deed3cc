"""Stages: the blocks between one halving of the resolution and the next, and how they are named."""


def named_blocks(depths):
    """Yields stage, index within it and name of each block, in order.

    The last block of a stage has the stage's name, by which heads and feature extractors find it: `stage2_1`,
    `stage2_2`, `stage2`.

    Args:
        depths: Number of blocks in each stage.
    """
    for stage, depth in enumerate(depths, 1):
        for index in range(1, depth + 1):
            yield stage, index, f"stage{stage}" if index == depth else f"stage{stage}_{index}"


def depths_of(strides):
    """Returns the number of blocks in each stage; wherever the resolution is halved, one begins.

    Args:
        strides: Step of each block, 1 or 2.
    """
    depths = [0]
    for stride in strides:
        if stride == 2:
            depths.append(0)
        depths[-1] += 1
    return depths
