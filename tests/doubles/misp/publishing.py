"""Publishing: the answer is yes in nearly every case in which nobody gets the event (S7, G12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.doubles.misp.answers import INTERNAL, Answer, NotSaved, Refused, saved
from tests.doubles.misp.push import NoServers, push_event
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Event, Job, User

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp


@route("events/publish", needs="perm_publish")
def publish(call: Call) -> Answer:
    event = _publishable(call)
    url = f"/events/publish/{event.id}"
    if call.misp.background:
        job = Job("prio", "publish_event", f"Event ID: {event.id}", message="Publishing.")
        call.misp.queue(job, lambda row: _work(call.misp, event, call.user, row))
        return saved("Job queued", url, event.id)
    send = publish_now(call.misp, event, call.user)
    if not event.published:
        why = {"Module": "Module failure."}
        raise NotSaved("Could not publish Event", why, url=url, row=event.id)

    def after() -> Answer | None:
        try:
            failed = send()
        except NoServers:
            raise Refused(500, INTERNAL) from None
        if failed:
            why = {"failed_servers": failed}
            raise NotSaved("Could not publish Event", why, url=url, row=event.id)
        return None

    answer = saved("Event published without alerts", url, event.id)
    answer.after = after
    return answer


@route("events/unpublish", needs="perm_publish")
def unpublish(call: Call) -> Answer:
    event = _publishable(call)
    event.published = False
    return saved("Event unpublished.", f"/events/unpublish/{event.id}", event.id)


def publish_now(misp: Misp, event: Event, user: User, *, stamp: int = 0) -> Callable[[], list[str]]:
    """Mark an event as published; what is returned sends it on, without the lock.

    A workflow's blocking module leaves it unpublished, and only the log says why.
    """
    why = misp.ask_gate(event, user)
    if why:
        return list
    event.published = True
    event.publish_timestamp = max(stamp, misp.clock.now())
    title = f"Event ({event.id}): {event.info}"
    misp.state.log(user, "Event", event.id, "publish", title)
    return lambda: push_event(misp, event)


def _work(misp: Misp, event: Event, user: User, job: Job) -> None:
    with misp.state.lock:
        send = publish_now(misp, event, user)
    try:
        send()
    except NoServers:
        # the worker dies on it: the row keeps its first state
        return
    job.status, job.message, job.progress = 4, "Event published.", 100


def _publishable(call: Call) -> Event:
    event = call.state.event(call.arg(), call.user)
    if event is None or call.method == "GET":
        raise Refused(404, "Invalid event.")
    if not call.user.may("perm_site_admin") and call.user.org.id != event.orgc_id:
        raise Refused(405, "You do not have the permission to do that.")
    return event
