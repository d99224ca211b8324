# SPDX-License-Identifier: GPL-2.0-only
"""nbgrader's configuration of the course at this repository's root: `nbgrader …` here, or `kmodsim grade`.

solutions/ (made by ``python -m kmodsim.course.edition``) -> exercises/ (by ``nbgrader generate_assignment``).
"""

c = get_config()  # noqa: F821  (nbgrader gives it)
c.CourseDirectory.course_id = "inside-insmod"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.ExecutePreprocessor.timeout = 120
# a learner's text may hold scripts; formgrader shows it to the teacher
c.HTMLExporter.sanitize_html = True
# learners start from these words
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
