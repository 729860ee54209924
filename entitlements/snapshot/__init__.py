"""The snapshot: what the database knows of everybody's rights, kept in shared memory for all processes of a machine.

    packed     facts <-> bytes, exactly                      (pure)
    shelf      bytes by account in a mapped file: one writer, readers that never wait
    place      the folder of a machine: who writes, which shelf is the present one, when the feed was last heard
    loading    all accounts at once, by COPY
    feed       which accounts changed: every change once, none missed, in whatever order transactions commit
    keeping    the writer's life: take the place, load, follow, make room; supervised
    front      the answers: from the shelf when it may be trusted, else from the database

It holds facts with their dates and no answers: time needs no message (I05), and `decision` is the only judge.
"""
