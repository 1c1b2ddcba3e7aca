"""What a paper about a sweep cites: BibTeX of the software and methods that its page used."""

from rvsweep.data.results import Results
from rvsweep.data.settings import study_config

ENTRIES = {
    "rvsweep": r"""@software{rvsweep,
  title = {rvsweep: activation patching and value-space geometry at scale},
  author = {{rvsweep contributors}}, version = {VERSION}}""",
    "paszke2019": r"""@inproceedings{paszke2019,
  title = {{PyTorch}: An Imperative Style, High-Performance Deep Learning Library},
  author = {Paszke, Adam and Gross, Sam and Massa, Francisco and others},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {32}, year = {2019}}""",
    "gabriel2004": r"""@inproceedings{gabriel2004,
  title = {Open {MPI}: Goals, Concept, and Design of a Next Generation {MPI} Implementation},
  author = {Gabriel, Edgar and Fagg, Graham E. and Bosilca, George and others},
  booktitle = {Recent Advances in Parallel Virtual Machine and Message Passing Interface},
  pages = {97--104}, year = {2004}}""",
    "harris2020": r"""@article{harris2020,
  title = {Array programming with {NumPy}}, author = {Harris, Charles R. and Millman, K. Jarrod and van der Walt, St{\'e}fan J. and others},
  journal = {Nature}, volume = {585}, pages = {357--362}, year = {2020}}""",
    "virtanen2020": r"""@article{virtanen2020,
  title = {{SciPy} 1.0: fundamental algorithms for scientific computing in {Python}},
  author = {Virtanen, Pauli and Gommers, Ralf and Oliphant, Travis E. and others},
  journal = {Nature Methods}, volume = {17}, pages = {261--272}, year = {2020}}""",
    "hunter2007": r"""@article{hunter2007,
  title = {Matplotlib: A {2D} Graphics Environment}, author = {Hunter, John D.},
  journal = {Computing in Science \& Engineering}, volume = {9}, number = {3}, pages = {90--95}, year = {2007}}""",
    "vig2020": r"""@inproceedings{vig2020,
  title = {Investigating Gender Bias in Language Models Using Causal Mediation Analysis},
  author = {Vig, Jesse and Gehrmann, Sebastian and Belinkov, Yonatan and others},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {33}, year = {2020}}""",
    "roy2007": r"""@inproceedings{roy2007,
  title = {The effective rank: A measure of effective dimensionality}, author = {Roy, Olivier and Vetterli, Martin},
  booktitle = {15th European Signal Processing Conference}, pages = {606--610}, year = {2007}}""",
    "lakens2013": r"""@article{lakens2013,
  title = {Calculating and reporting effect sizes to facilitate cumulative science: a practical primer for t-tests and {ANOVAs}},
  author = {Lakens, Dani{\"e}l}, journal = {Frontiers in Psychology}, volume = {4}, pages = {863}, year = {2013}}""",
    "holm1979": r"""@article{holm1979,
  title = {A Simple Sequentially Rejective Multiple Test Procedure}, author = {Holm, Sture},
  journal = {Scandinavian Journal of Statistics}, volume = {6}, number = {2}, pages = {65--70}, year = {1979}}""",
    "schuirmann1987": r"""@article{schuirmann1987,
  title = {A comparison of the Two One-Sided Tests Procedure and the Power Approach for assessing the equivalence of average bioavailability},
  author = {Schuirmann, Donald J.}, journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15}, number = {6}, pages = {657--680}, year = {1987}}""",
    "fieller1954": r"""@article{fieller1954,
  title = {Some Problems in Interval Estimation}, author = {Fieller, Edgar C.},
  journal = {Journal of the Royal Statistical Society, Series B}, volume = {16}, number = {2}, pages = {175--185}, year = {1954}}""",
    "westfall1993": r"""@book{westfall1993,
  title = {Resampling-Based Multiple Testing}, author = {Westfall, Peter H. and Young, S. Stanley},
  publisher = {Wiley}, year = {1993}}""",
    "hall1988": r"""@article{hall1988,
  title = {Theoretical Comparison of Bootstrap Confidence Intervals}, author = {Hall, Peter},
  journal = {The Annals of Statistics}, volume = {16}, number = {3}, pages = {927--953}, year = {1988}}""",
    "wilcoxon1945": r"""@article{wilcoxon1945,
  title = {Individual Comparisons by Ranking Methods}, author = {Wilcoxon, Frank},
  journal = {Biometrics Bulletin}, volume = {1}, number = {6}, pages = {80--83}, year = {1945}}""",
    "henderson1953": r"""@article{henderson1953,
  title = {Estimation of Variance and Covariance Components}, author = {Henderson, Charles R.},
  journal = {Biometrics}, volume = {9}, number = {2}, pages = {226--252}, year = {1953}}""",
    "mackinnon1985": r"""@article{mackinnon1985,
  title = {Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties},
  author = {MacKinnon, James G. and White, Halbert}, journal = {Journal of Econometrics},
  volume = {29}, number = {3}, pages = {305--325}, year = {1985}}""",
    "diciccio2017": r"""@article{diciccio2017,
  title = {Robust Permutation Tests for Correlation and Regression Coefficients},
  author = {DiCiccio, Cyrus J. and Romano, Joseph P.}, journal = {Journal of the American Statistical Association},
  volume = {112}, number = {519}, pages = {1211--1220}, year = {2017}}""",
    "krippendorff2004": r"""@book{krippendorff2004,
  title = {Content Analysis: An Introduction to Its Methodology}, author = {Krippendorff, Klaus},
  publisher = {Sage}, edition = {2}, year = {2004}}""",
}
_ALWAYS = ("rvsweep", "paszke2019", "gabriel2004", "harris2020", "virtanen2020", "hunter2007", "lakens2013")
_ALWAYS += ("holm1979", "schuirmann1987")


def bibtex(results: Results, dosed: bool) -> str:
    """Entries of what the page of `results` used; `dosed`: it has a trend over dose levels."""
    patched = any(arm.patched for arm in results.arms)
    shared = results.clusters.shared
    used = {
        "vig2020": patched,
        "fieller1954": patched,
        "westfall1993": patched,
        "roy2007": "effective_rank" in results.prompts,
        "henderson1953": shared,
        "hall1988": not shared,
        "wilcoxon1945": not shared,
        "mackinnon1985": dosed,
        "diciccio2017": dosed,
        "krippendorff2004": bool(results.ratings),
    }
    version = results.attributes.get("rvsweep_version", "unknown")
    entries = [text for key, text in ENTRIES.items() if key in _ALWAYS or used[key]]
    model = study_config(results).last("model.path") or results.attributes.get("model_path", "unknown")
    note = f"% The model's own reference is not known here; it was read from {model}.\n"
    return note + "\n".join(entries).replace("VERSION", version) + "\n"
