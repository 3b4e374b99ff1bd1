"""What lies where in the tables of a recurrence, for both sides of the compiler.

Sizes and strides are in numbers of the float type, not bytes.
"""

from enum import IntEnum

MOST_STATES = 2
MOST_STAGES = 2
MOST_PARTS = 16  # of the units of a step, each with a thread


class P(IntEnum):
    """Places in a plan: what a pass does. The addresses are filled in for each pass."""

    # --- what is called
    BODY = 0  # of the launch
    TASKS = 1  # of the launch; forward, the parts that the units of a step are cut in
    # --- sizes
    BATCH = 2
    STEPS = 3
    FEATURES = 4
    UNITS = 5
    GATES = 6  # columns of W and of R, in units
    SLOTS = 7  # columns of dz, in units: the first ones are those of W
    KEEPS = 8  # numbers of a unit that a step keeps for backward, besides its states
    STATES = 9
    STAGES = 10
    # --- what there is
    STARTED = 11  # 1 if START holds states, 0 if they are zeros
    KEPT_STATES = 12  # how many of the states are kept at every step
    KEPT_STEP = 13  # from step to step in KEPT; 0 if nothing is kept
    OPERAND_STEP = 14  # the same in OPERAND
    CARRIES = 15  # whether a gradient of h goes from step to step past the product
    WANTS_START = 16  # whether the gradients of the initial states are wanted
    DROP_GATES = 17  # masks of DROP_H: none, one for all gates, or one a gate
    DROPS_X = 18  # whether DROP_X is there
    PASSES = 19  # the same of the cell alone
    JOINT = 20  # whether all gates of W and R see the same dz and the inputs and h
    BIASES = 21  # rows of db
    FLAT = 22  # whether a step's rows may count as one long row
    # --- how the work is cut
    BEGIN = 23
    STOP = 24
    CHUNK = 25  # steps whose inputs are projected at once, or 0; going back, steps of dz
    BLOCK = 26  # units of a block, whole registers
    GROUPS = 27
    MEMBERS = 28
    # --- strides of the inputs
    X_ROW = 29
    X_STEP = 30
    # --- places in the scratch of a task, and its size
    Z = 31
    ZH = 32
    LAID = 33
    TURNS = 34  # states that nobody keeps
    OWN = 35  # what a stage hands to the next one
    DROPPED = 36  # inputs and states under dropout
    SCRATCH_SIZE = 37
    # --- places in the work array of a group going back, and its size
    RT = 38
    WT = 39
    ZEROS = 40
    DZ = 41
    DH = 42
    CARRY = 43
    TRASH = 44  # for sums of dz that nobody wants
    OUTER = 45
    OPEN_X = 46
    OPEN_H = 47
    OPEN_DZ = 48
    OPEN_DX = 49
    DH_SIZE = 50  # of each member
    OUTER_SIZE = 51  # of each member
    SUMS_SIZE = 52  # of each group but the first, behind all groups
    GROUP_SIZE = 53
    # --- addresses
    BOUNDS = 54  # int64, the rows between which each task's, or member's, lie
    X = 55
    WEIGHTS = 56
    START = 57
    LAST = 58
    SCRATCH = 59
    STATE = 60  # of each state, slot 0
    KEPT = 62
    OPERAND = 63
    MASK = 64  # bytes (T, B), or 0
    DROP_X = 65
    DROP_H = 66
    W = 67
    R = 68
    DY = 69
    DLAST = 70  # of each state, or 0
    DW = 72
    DR = 73
    DB = 74
    DX = 75  # or 0
    DSTART = 76
    ORDER = 77  # int64, the row of the batch that each row is, or 0
    WORK = 78
    RUN_STAGE = 79  # of code that a pass may choose: a stage of the step
    ARRIVE = 80  # the gradient that arrives at a stage
    GRADIENTS = 81  # the share of a chunk in dW, dR, db and dx
    ACTIVATIONS = 82  # see `finish.addresses`; 0 where steps hold them
    ALONE = 83  # the body for one thread, where BODY is that of a team
    RESTORE = 84  # of what makes the states of a step again, see `restoring`
    # --- stages, `S.SIZE` places each
    STAGE = 85
    END = STAGE + 14 * MOST_STAGES


class S(IntEnum):
    """Places of a stage of the step, from `P.STAGE` + stage · `S.SIZE`."""

    FIRST = 0  # its gates
    GATES = 1
    OWN = 2  # 1 if R multiplies what the stage before has made, 0 if h
    APART = 3  # 1 if h·R is not added to x·W, but handed to the step beside it
    STEP = 4  # addresses of the cell's C functions
    BACK = 5
    SLOT = 6  # slots of dz that R's gates multiply going back: some, and some more
    COUNT = 7
    SLOT_2 = 8
    COUNT_2 = 9
    W = 10  # in WEIGHTS
    R = 11
    BIAS = 12
    RT = 13  # in the work array, from P.RT
    SIZE = 14


class F(IntEnum):
    """Places in a frame: where a task is. Pointers stand at its first row."""

    ROWS = 0
    FIRST_ROW = 1
    TIME = 2  # the step
    UNIT = 3  # the block: its first unit and how many
    COLUMNS = 4
    Z = 5
    Z_ROW = 6
    ZH = 7
    ZH_ROW = 8
    BEFORE = 9
    AFTER = 11
    KEPT = 13
    KEPT_ROW = 14
    OPERAND = 15
    STATE = 16  # slot 0 of each state, and the way to the next slot
    STATE_STEP = 18
    SCRATCH = 20
    LAID = 21
    # --- going back
    D = 22  # gradient of what the stage made, in the block
    D_ROW = 23
    CARRY = 24
    DZ = 26
    DZ_ROW = 27
    EARLIER = 28  # dy of the step before
    EARLIER_ROW = 29
    INIT = 30
    INIT_ROW = 31
    FOLLOWING = 32
    GROUP = 33
    MEMBER = 34
    START = 35
    STOP = 36
    BASE = 37  # the group's work array
    DZ_BASE = 38
    DZ_STEP = 39
    DZ_AFTER = 40
    UNITS_ROW = 41  # of states: the units
    AHEAD = 42  # steps since the inputs were projected
    REACH = 43  # rows up to the last open one
    HANDED = 44  # what a stage hands to the next one
    # --- gradients
    DW = 45
    DR = 46
    DB = 47
    SPACE = 48  # scratch of `add_outer`
    TEMPORARY = 49  # a product under dropout
    NEXT = 50  # units from the block to the next one that is touched
    ACTIVATIONS = 51  # as in the plan
    LOW = 52  # the units that a step is computed for: from, to
    HIGH = 53
    HELD = 54  # how many states `restoring` finds there
    END = 55
