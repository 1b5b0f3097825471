from gan_augment.evaluation.generators import MOST_POINTS, TrainingCurve


def test_a_long_run_is_thinned_to_what_can_be_drawn_and_keeps_its_last_step():
    curve = TrainingCurve()
    for step in range(1, 1002):
        curve.on_event({"event": "step", "step": step, "g_loss": step / 10})
    points = curve.to_dict()["losses"]["g_loss"]
    assert len(points) <= MOST_POINTS + 1
    assert points[0] == [1, 0.1]
    assert points[-1] == [1001, 100.1]


def test_what_a_rollback_undid_is_dropped_and_the_rollback_told():
    curve = TrainingCurve()
    for step in (20, 40, 60):
        curve.on_event({"event": "step", "step": step, "d_loss": 1.0})
    event = {"event": "rollback", "step": 40, "failed_at": 70, "reason": "no finite number"}
    curve.on_event(event | {"retries": 1})
    assert curve.to_dict() == {
        "losses": {"d_loss": [[20, 1.0], [40, 1.0]]},
        "scores": [],
        "events": [event],
    }


def test_a_score_that_is_no_finite_number_is_left_out():
    curve = TrainingCurve()
    curve.on_event({"event": "score", "step": 5, "value": float("inf"), "best": False})
    assert curve.to_dict()["scores"] == []
