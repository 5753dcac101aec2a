"""From a wish to a job at a dispatcher and, if somebody waits for them, to its frames here."""

from __future__ import annotations

from pathlib import Path

from . import costing, expecting, inspection, preview, submission
from .connecting import Connecting, connect
from .errors import DONE, FAILED, Interrupted
from .fetching import Fetcher, usable_folder
from .following import follow
from .job_json import job_json
from .output import Output
from .progress import display
from .starting import Started


def send(
    out: Output,
    wish: submission.Wish,
    renderer: Started,
    *,
    blender: Path | None,
    to: Connecting,
    wait: bool,
    out_dir: Path | None,
    film: bool,
) -> int:
    """Send what is wished for, which ``renderer`` looks into; the exit code.

    With ``wait`` until the job has ended; with ``out_dir`` its frames are brought there, and with ``film`` one is made
    of them. CommandError and its kinds if something is wrong.
    """
    folder = usable_folder(out_dir) if out_dir else None
    made = fetcher = None
    with connect(to) as client, display(out) as shown:
        client.tokens()  # Before the scene is looked into: says what is wrong with the dispatcher, or with our token.
        shown.step(f"looking into {wish.blend.name}")
        with inspection.renderer(blender, renderer.scratch, renderer.process) as process:
            found = inspection.inspect(process, wish.blend, wish.scene, wish.settings)
            prepared = submission.prepare(wish, found)
            prepared = costing.measured(process, wish, found, prepared, shown.step)
            for note in prepared.spec.notes:
                out.note(f"note: {note}")
            shown.step("sending the scene")
            upload = submission.submit(client, prepared, lambda done, size: shown.step(_sending(done, size)))
            out.note(str(upload))
            sent = upload.job
            out.note(f"job {sent.id}")
            previews = expecting.Previews(
                process, wish, found, sent.id, prepared.spec.frames, lambda: connect(to), out.note
            )
            fetcher = Fetcher(client, sent.id, folder) if folder else None
            try:
                if wait or fetcher:
                    with previews:
                        sent = follow(client, sent.id, shown, fetcher=fetcher)
                else:
                    previews.run(shown.step)
            except KeyboardInterrupt:
                goes_on = (
                    f"interrupted; job {sent.id} goes on: fetch {sent.id} brings its frames, cancel {sent.id} ends it"
                )
                raise Interrupted(goes_on, job=sent.id) from None
        if film and fetcher:
            shown.step("making the film")
            made = preview.of_job(out, sent, fetcher, blender)
    result = job_json(sent) | {"sent": upload.as_json(), "previewed": previews.sent}
    if fetcher:
        result |= {"out": str(fetcher.out), "files": [file.as_json() for file in fetcher.files]}
    if made:
        result |= made.as_json()
    out.result(result, f"job {sent.id} is {sent.status.value}")
    return FAILED if made and made.problem else DONE


def _sending(done: int, size: int) -> str:
    return f"sending the scene: {done / 1e6:.1f} of {size / 1e6:.1f} MB"
