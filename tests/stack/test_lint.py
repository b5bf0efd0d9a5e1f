"""cfn-lint on the templates as they are deployed."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stack_template import ROOT, chat_template

REGIONS = ["us-east-1", "eu-central-1"]


class Lint(unittest.TestCase):
    def lint(self, file):
        regions = [option for region in REGIONS for option in ("--regions", region)]
        command = [Path(sys.executable).with_name("cfn-lint"), *regions, "--", file]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_the_chat_template_passes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(chat_template(), file)
            file.flush()
            self.lint(file.name)

    def test_the_monitoring_template_passes(self):
        self.lint(ROOT / "monitoring.yaml")
