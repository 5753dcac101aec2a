"""What is checked of each result, and what follows from the checks: levels 1, 2 and 4, driven in transactions.

A result that is drawn is held until others have rendered it, or parts of it, again. Then it is accepted and its worker
more credible; or further owners are asked; or it goes to others and its worker is punished. What can't be decided gives
no credit and no penalty. Formulas are in ``trust.py`` and ``rulings.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from secrets import SystemRandom

from sqlalchemy import Connection

from ..protocol.checks import CheckStatus
from ..protocol.regions import Region
from ..protocol.results import Output
from ..protocol.states import JobStatus, LeaseStatus, TaskKind, TaskStatus
from ..protocol.verdicts import Comparison
from . import calibrating, checks, failures, jobs, leases, results, scheduler, standings, tasks, workers
from .asking import whom
from .blame import doubted_parts, is_job_to_blame, is_repeatable, may_block
from .escrow import Escrow, Unpaid
from .results import NO_FILES, ResultStatus
from .rulings import Differs, Finding, Ruling, Voice, settle
from .store import Tx
from .tables import AnyRow
from .trust import Draw, Happening, credibility, draw

MOST_SENT_BACK = 3
"""How often a task is rendered again by others although nobody could be held wrong, before what comes is taken."""


@dataclass(frozen=True)
class Plan:
    """What is to be checked of a result."""

    draw: Draw
    reason: str


class Desk:
    """Decides about results. ``random`` draws what is checked, and must be one that no worker can foresee."""

    def __init__(self, escrow: Escrow | None = None, random: Random | None = None) -> None:
        self.random = random or SystemRandom()
        self._escrow: Escrow = escrow or Unpaid()

    # A result has come in

    def plan(self, conn: Connection, result: AnyRow, suspicion: str | None) -> Plan | None:
        """What to check of a result whose files are good, or None. Drawn only now that the result is there."""
        job = jobs.load(conn, result.job_id)
        spec = jobs.spec_of(job)
        if result.subject_id is not None or not spec.repeatable or job.differs == Differs.ALL:
            return None
        known = standings.load(conn, result.worker_id)
        drawn = Draw.WHOLE if suspicion else draw(known, self.random)
        if drawn is Draw.NOTHING:
            return None
        if not scheduler.has_checkers(conn, job, workers.load(conn, result.worker_id)):
            return None
        task = tasks.load(conn, result.task_id)
        local = task.linear or (spec.local and job.differs != Differs.PARTS)
        if drawn is Draw.PART and not (task.kind == TaskKind.RENDER and local):
            drawn = Draw.WHOLE
        return Plan(drawn, suspicion or ("on probation" if known.probation else "drawn by chance"))

    def receive(
        self,
        tx: Tx,
        result_id: int,
        output: Output,
        extras: Mapping[str, Output] = NO_FILES,
        *,
        regions: Sequence[Region] = (),
        reason: str = "",
        suspicion: str | None = None,
    ) -> ResultStatus:
        """A result's files are good: accept it, or hold it and have ``regions`` of it rendered again first.

        ``suspicion`` is what is odd about it, if anything is; it is noted also where nobody can look.
        """
        result, job = results.lock(tx, result_id)
        if result.status != ResultStatus.PENDING:
            # Another thread or dispatcher looked at it too and was faster. What it holds is not accepted by this one.
            return ResultStatus(result.status)
        worker = workers.load(tx.conn, result.worker_id)
        party = workers.party(worker)
        if worker.status in workers.DISTRUSTED:
            results.send_back(tx, result_id, f"its worker is {worker.status}", party)
            return ResultStatus(results.load(tx.conn, result_id).status)
        if suspicion is not None:
            _tell(tx, "result.suspicion", result, because=suspicion)
        able = scheduler.checkers(tx.conn, job.id, party) if regions else []
        if not able:
            return self._accept(tx, result_id, output, extras, (result, job))
        if not results.hold(tx, result_id, output, extras):
            return ResultStatus(results.load(tx.conn, result_id).status)
        task = tasks.load(tx.conn, result.task_id)
        for region in regions:
            asked, drawn = whom(self.random, result.render_class, able)
            checks.create(tx, result, task, region, party, reason=reason, wanted_class=asked, wanted_worker=drawn)
        return ResultStatus.CHECKING

    def _accept(
        self,
        tx: Tx,
        result_id: int,
        output: Output | None = None,
        extras: Mapping[str, Output] = NO_FILES,
        locked: tuple[AnyRow, AnyRow] | None = None,
    ) -> ResultStatus:
        status = results.accept(tx, result_id, output, extras, locked)
        if status is ResultStatus.ACCEPTED:
            result = locked[0] if locked else results.load(tx.conn, result_id)
            self._escrow.earn(tx, result.worker_id, result_id)
            if result.subject_id is None:
                standings.note(tx, result.worker_id, Happening.ACCEPTED, result_id)
        return status

    def take_opinion(
        self, tx: Tx, result_id: int, output: Output, extras: Mapping[str, Output], found: checks.Opinion | None
    ) -> ResultStatus:
        """A checker's result is good as such, and paid like any other; ``found`` is what its check came to.

        Both in one change: a check whose result is accepted and that nobody decides would be open for ever.
        """
        jobs.lock(tx, results.load(tx.conn, result_id).job_id)
        result = results.load(tx.conn, result_id)
        if result.status != ResultStatus.PENDING:
            return ResultStatus(result.status)
        worker = workers.load(tx.conn, result.worker_id)
        if worker.status in workers.DISTRUSTED:
            results.send_back(tx, result_id, f"its worker is {worker.status}", workers.party(worker))
            return ResultStatus(results.load(tx.conn, result_id).status)
        status = self._accept(tx, result_id, output, extras)
        check = checks.of_task(tx.conn, result.task_id)
        if status is ResultStatus.ACCEPTED and check is not None:
            checks.keep(tx, check.id, result_id)
            if check.status == CheckStatus.OPEN and found is not None:
                checks.decide(tx, check, results.load(tx.conn, result_id), found)
        return status

    # A check has come to something

    def conclude(self, tx: Tx, subject_id: int) -> None:
        """Do what follows from the checks of a result that is held, if they are all over. May be called at any time."""
        subject = results.load(tx.conn, subject_id)
        job = jobs.lock(tx, subject.job_id)
        subject = results.load(tx.conn, subject_id)
        if subject.status != ResultStatus.CHECKING:
            return
        task = tasks.load(tx.conn, subject.task_id)
        if JobStatus(job.status).ended or task.status != TaskStatus.SUBMITTED or task.result_id != subject.id:
            end_open(tx, subject_id, "its result is not needed any more")
            results.accept(tx, subject_id)  # which makes it evidence
            return
        if job.differs == Differs.ALL:
            why = "no two renders of this scene are alike"
            end_open(tx, subject_id, why)
            self._let_pass(tx, subject, why)
            return
        _drop_ended(tx, subject_id)
        mine = checks.of_subject(tx.conn, subject_id)
        if any(check.status == CheckStatus.OPEN for check in mine):
            return
        decided = [check for check in mine if check.status == CheckStatus.DECIDED and not check.dispute]
        against = [check for check in decided if check.verdict == "mismatch"]
        if against:
            self._settle_dispute(tx, subject, task, against, mine)
        elif any(check.verdict == "match" for check in decided):
            self._pass(tx, subject)
        elif decided:
            self._let_pass(tx, subject, "; ".join(sorted({check.sentence for check in decided})))
        else:
            self._accept(tx, subject_id)

    def _settle_dispute(
        self, tx: Tx, subject: AnyRow, task: AnyRow, against: Sequence[AnyRow], mine: Sequence[AnyRow]
    ) -> None:
        disputes = [check for check in mine if check.dispute]
        parties = [subject.worker_id, *(check.checker_id for check in mine if check.checker_id)]
        barred = {name for party in parties for name in workers.party(workers.load(tx.conn, party))}
        # One that was dropped shows that nobody is there to ask.
        dropped = any(check.status != CheckStatus.DECIDED for check in disputes)
        able = [] if dropped else scheduler.checkers(tx.conn, subject.job_id, barred)
        whole = tasks.region_of(task)
        if not disputes and able:
            reason = f"check {against[0].id} found it wrong: {against[0].sentence}"
            self._ask_another(tx, subject, task, whole, barred, able, reason)
            return
        decided = [check for check in disputes if check.status == CheckStatus.DECIDED]
        if not decided:
            self._unsettled(tx, subject, against)
            return
        heard = [*against, *decided]
        ruling = self._rule(tx, subject, task, heard, more=bool(able))
        if ruling.subject is None:
            asked = next((checks.region_of(check) for check in against if check.id == ruling.ask_part), whole)
            self._ask_another(tx, subject, task, asked, barred, able, "others disagree about it")
            return
        if ruling.differs is not None:
            jobs.note_difference(tx, subject.job_id, ruling.differs)
        for check in heard:
            if check.id in ruling.at_fault:
                why = f"check {check.id} of frame {check.frame}: its pixels are others than those that were found right"
                self._punish(tx, check.checker_id, check.job_id, why)
            elif ruling.subject == "match" and check.verdict == "mismatch":
                calibrating.learn(tx, subject, check, heard)
        _tell(tx, "check.settled", subject, verdict=ruling.subject, found=ruling.sentence)
        if ruling.subject == "match":
            self._pass(tx, subject)
        elif ruling.subject == "mismatch":
            self._condemn(tx, subject, ruling.sentence)
        elif ruling.again and results.times_sent_back(tx.conn, subject.task_id) < MOST_SENT_BACK:
            self._send_back(tx, subject, ruling.sentence)
        else:
            self._let_pass(tx, subject, ruling.sentence)

    def _ask_another(
        self,
        tx: Tx,
        subject: AnyRow,
        task: AnyRow,
        region: Region,
        barred: Collection[str],
        able: Sequence[scheduler.Checker],
        reason: str,
    ) -> None:
        # Its own class first, since that tells for sure; if others differ from it still, whoever there is.
        mine = checks.of_subject(tx.conn, subject.id)
        first = not any(check.dispute for check in mine)
        certain = all(check.exact for check in mine if check.verdict == "mismatch")
        own = subject.render_class if first or certain else None
        asked, drawn = whom(self.random, own, able, settles=True)
        checks.create(
            tx,
            subject,
            task,
            region,
            sorted(barred),
            reason=reason,
            wanted_class=asked,
            wanted_worker=drawn,
            dispute=True,
        )

    def _rule(self, tx: Tx, subject: AnyRow, task: AnyRow, heard: Sequence[AnyRow], *, more: bool) -> Ruling:
        conn, job_id = tx.conn, subject.job_id
        theirs = {check.id: results.load(conn, check.result_id) for check in heard}
        voices = [
            Voice(
                check.id,
                workers.owner_of(workers.load(conn, check.checker_id)),
                Finding(check.verdict, check.exact),
                dispute=check.dispute,
                part=str(checks.region_of(check)) if check.kind == TaskKind.CHECK and not task.linear else None,
            )
            for check in heard
        ]
        between = {
            (earlier, check.id): verdict
            for check in heard
            for earlier, verdict in checks.others_of(check).items()
            if earlier in theirs  # what agrees with the subject is not heard
        }
        return settle(
            voices,
            between,
            repeated=is_repeatable(conn, subject, theirs, between),
            parts_doubted=any(doubted_parts(conn, job_id, check.checker_id) for check in heard),
            parts_differ=jobs.load(conn, job_id).differs == Differs.PARTS,
            gross=any(_is_gross(check) for check in heard if check.dispute),
            more=more,
        )

    def _unsettled(self, tx: Tx, subject: AnyRow, against: Sequence[AnyRow]) -> None:
        """Owners disagree and there is none left to ask. Where two are against it, each by a part of its own, it is
        rendered again; else the more credible one's pixels are taken. Nobody is punished."""
        owners = {workers.owner_of(workers.load(tx.conn, check.checker_id)) for check in against}
        theirs = max(credibility(standings.load(tx.conn, check.checker_id).passed) for check in against)
        ours = credibility(standings.load(tx.conn, subject.worker_id).passed)
        sentence = f"{against[0].sentence}; there is no third owner's worker to settle it"
        if (len(owners) > 1 or theirs > ours) and not results.times_sent_back(tx.conn, subject.task_id):
            self._send_back(tx, subject, sentence)
        else:
            self._let_pass(tx, subject, sentence)

    def _pass(self, tx: Tx, subject: AnyRow) -> None:
        if self._accept(tx, subject.id) is ResultStatus.ACCEPTED:
            standings.note(tx, subject.worker_id, Happening.PASSED, subject.id)

    def _let_pass(self, tx: Tx, subject: AnyRow, why: str) -> None:
        """Accept what could not be judged, without credit or penalty."""
        _tell(tx, "check.inconclusive", subject, because=why)
        standings.note(tx, subject.worker_id, Happening.INCONCLUSIVE, subject.id)
        self._accept(tx, subject.id)

    def _send_back(self, tx: Tx, subject: AnyRow, why: str) -> None:
        """Have others render what could not be judged, without penalty."""
        _tell(tx, "check.inconclusive", subject, because=why)
        standings.note(tx, subject.worker_id, Happening.INCONCLUSIVE, subject.id)
        results.send_back(tx, subject.id, why, workers.party(workers.load(tx.conn, subject.worker_id)))
        # However honest, there is no use in having it render what nobody else renders alike.
        often = results.number_sent_back(tx.conn, subject.job_id, subject.worker_id) >= failures.STRIKES
        if often and may_block(tx, subject.job_id):
            failures.block(tx, subject.job_id, subject.worker_id, "others agree on other pixels again and again")

    def _condemn(self, tx: Tx, subject: AnyRow, why: str) -> None:
        if is_job_to_blame(tx, subject):
            self._send_back(tx, subject, f"{why}; but so are other owners' results in this job, and nobody is punished")
            return
        results.send_back(tx, subject.id, why, workers.party(workers.load(tx.conn, subject.worker_id)))
        self._punish(tx, subject.worker_id, subject.job_id, f"frame {subject.frame}: {why}")

    def _punish(self, tx: Tx, worker_id: str, job_id: str, why: str) -> None:
        # What it had in hand when it was found out is the same offence, not another.
        if workers.load(tx.conn, worker_id).status in workers.DISTRUSTED:
            return
        tx.emit("worker.caught", job_id=job_id, worker_id=worker_id, because=why)
        self._escrow.void(tx, worker_id)
        standings.punish(tx, worker_id)

    def revoke_credit(self, tx: Tx, result: AnyRow) -> None:
        """A result is recalled because of its worker."""
        self._escrow.revoke(tx, result.worker_id, result.id)


def _is_gross(check: AnyRow) -> bool:
    """Did a check show something else than its subject, which no difference between classes explains?"""
    found = None if check.comparison is None else Comparison.model_validate_json(check.comparison)
    return found is not None and found.perceptual.whole >= found.tolerance.other_picture


def end_open(tx: Tx, subject_id: int, why: str) -> None:
    """Drop a result's open checks, and stop whoever is at one. The job is locked by the caller."""
    for check in checks.of_subject(tx.conn, subject_id):
        if check.status != CheckStatus.OPEN:
            continue
        checks.drop(tx, check, why)
        end_task(tx, tasks.load(tx.conn, check.task_id), why)


def end_task(tx: Tx, task: AnyRow, why: str) -> None:
    """Cancel a task that is open, and stop whoever is at it. The job is locked by the caller."""
    if task.status not in tasks.OPEN:
        return
    lease = leases.held_of_task(tx.conn, task.id)
    tasks.move(tx, task, TaskStatus(task.status), TaskStatus.CANCELLED, "task.cancelled", because=why)
    if lease is not None:
        leases.end_all(tx, [lease], LeaseStatus.REVOKED, why)


def _drop_ended(tx: Tx, subject_id: int) -> None:
    """Drop checks whose task ended without a result: its job was cancelled meanwhile, or nobody could do it."""
    for check in checks.of_subject(tx.conn, subject_id):
        if check.status == CheckStatus.OPEN:
            status = tasks.load(tx.conn, check.task_id).status
            if status in (TaskStatus.CANCELLED, TaskStatus.FAILED):
                checks.drop(tx, check, "nobody could render it")


def _tell(tx: Tx, event: str, subject: AnyRow, **detail: object) -> None:
    tx.emit(
        event,
        job_id=subject.job_id,
        task_id=subject.task_id,
        worker_id=subject.worker_id,
        frame=subject.frame,
        subject=subject.id,
        **detail,
    )
