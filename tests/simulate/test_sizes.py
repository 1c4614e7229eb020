from corticode.simulate.sizes import SIZES, published_sessions


def test_the_study_has_its_published_sessions():
    ids = published_sessions()
    study = SIZES["study"]
    assert study.n_sessions == tuple(len(ids[mouse]) for mouse in range(1, 6))
    assert sum(study.n_sessions) == 64
    assert (study.n_frames, study.n_pixels) == (18_000, 128)
    assert ids[1][0] == "20180125_Emx1G6_LR_1"
    # The suffix does not tell the mouse.
    assert {mouse for mouse in ids if any("_non_" in name for name in ids[mouse])} == {2, 5}


def test_every_size_takes_no_more_sessions_than_were_published():
    for size in SIZES.values():
        for mouse, n_sessions in enumerate(size.n_sessions, start=1):
            assert 3 <= n_sessions <= len(published_sessions()[mouse])
