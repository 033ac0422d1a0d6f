"""nbgrader's autograde with our judge: this preprocessor stands where Execute stood. No cell of the submission is executed in nbgrader's process."""

from pathlib import Path

from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from tinylib.classroom.answers import read_bytes
from tinylib.classroom.grade import Cache, grade_all
from tinylib.classroom.gradebook import questions_id
from tinylib.classroom.judge import Result


class Judge(NbGraderPreprocessor):
    """Writes into every graded code cell one number (partial credit) and the outcome in words on stdout, never on stderr."""

    course_dir = Unicode("", help="folder of the course (default: nbgrader's working folder, which is the course's root)").tag(config=True)

    def preprocess(self, nb, resources):
        """Judge the notebook of `resources["nbgrader"]`, or take the result that `tinylib class grade` has put into the cache."""
        import nbformat

        from tinylib.classroom import term
        info = resources["nbgrader"]
        klass = term.open_course(Path(self.course_dir or ".").resolve())
        assignment = klass.assignment(info["assignment"])
        answers = klass.collected(assignment, info["student"])
        if answers is None:                                     # submitted through nbgrader alone
            answers = read_bytes(nbformat.writes(nb, version=nbformat.NO_CONVERT).encode(), assignment, info["student"])
        result, = grade_all([answers], assignment, klass.judge_course(), Cache(klass.cache), workers=1)
        self.write(nb, result, assignment)
        return nb, resources

    def write(self, nb, result: Result, assignment) -> None:
        """Numbers and words into the graded cells; everything else loses its outputs."""
        scores = {s.id: s for s in result.scores}
        kinds = {f"{p.grade_id}-check": [scores[p.id]] for p in assignment.by_machine if p.kind == "exercise"}
        kinds[questions_id(assignment)] = [scores[p.id] for p in assignment.by_machine if p.kind != "exercise"]
        for cell in nb.cells:
            if cell.cell_type != "code":
                continue
            cell.outputs, cell.execution_count = [], None
            found = kinds.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
            if found is not None and cell.metadata.nbgrader.get("grade"):
                words = "\n".join(f"{s.id}: {s.points:g} of {s.max_points:g}. {s.sentence}" for s in found)
                points = round(sum(s.points for s in found), 6)
                cell.outputs = [new_output("stream", name="stdout", text=words + "\n"),
                                new_output("execute_result", data={"text/plain": repr(points)}, execution_count=None)]
