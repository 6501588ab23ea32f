//! Values of scipy, of R's test, of savvi, of confseq's C++ headers, and of a second implementation.

use serde_json::Value;
use statrs::function::{
    beta::{beta_reg, ln_beta},
    erf::erfc_inv,
    gamma::ln_gamma,
};

use super::{counts, interval, params};
use crate::analysis::judge::{
    Mixture,
    counts::{State, advance, prior},
    kernel::{Exposed, Tolerated, frequent, rare},
    mann_whitney::{self, Class, Rules},
    slo,
};

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn main_file() -> Value {
    golden(include_str!("golden.json"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

#[track_caller]
fn near(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error < 1e-9, "{what}: found {found}, golden is {expected}");
}

#[test]
fn special_functions() {
    let special = &main_file()["special"];
    for row in list(&special["ln_gamma"]) {
        near(ln_gamma(number(&row[0])), &row[1], "ln_gamma");
    }
    for row in list(&special["ln_beta"]) {
        near(ln_beta(number(&row[0]), number(&row[1])), &row[2], "ln_beta");
    }
    for row in list(&special["beta_reg"]) {
        let found = beta_reg(number(&row[0]), number(&row[1]), number(&row[2]));
        near(found, &row[3], "beta_reg");
    }
    for row in list(&special["norm_ppf"]) {
        let found = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * number(&row[0]));
        near(found, &row[1], "norm_ppf");
    }
}

#[test]
fn mann_whitney_is_that_of_scipy_and_kayenta() {
    for case in list(&main_file()["mann_whitney"]) {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let found = mann_whitney::compare(&x, &y).unwrap();
        near(found.u, &case["U"], "U");
        near(found.z, &case["z"], "z");
        near(found.lower, &case["lower98"], "lower98");
        near(found.upper, &case["upper98"], "upper98");
        near(found.estimate, &case["estimate"], "estimate");
        near(found.superiority, &case["cles"], "cles");
        near(found.mean_ratio, &case["mean_ratio"], "mean_ratio");
        near(0.25 * found.estimate.abs(), &case["effect_bounds"][1], "effect_bounds");
        let class = mann_whitney::classify(&x, &y, &Rules::default());
        assert_eq!(class == Class::High, case["high"].as_bool().unwrap());
    }
}

#[test]
fn the_kernel_of_rare_events() {
    let file = main_file();
    for case in list(&file["interval_log_e"]) {
        let phi = number(&case["phi"]);
        let exposed = Exposed {
            canary_errors: number(&case["xc"]) / phi,
            stable_errors: number(&case["xs"]) / phi,
            canary: number(&case["nc"]) / phi,
            stable: number(&case["ns"]) / phi,
        };
        let tolerated =
            Tolerated { ratio: number(&case["psi0"]), absolute: number(&case["delta"]) };
        near(rare(exposed, number(&case["psi"]), tolerated), &case["log_e"], "log_e");
    }
    for case in list(&file["turner_2x2"]) {
        let exposed = Exposed {
            canary_errors: number(&case["xc"]),
            stable_errors: number(&case["xs"]),
            canary: number(&case["nc"]),
            stable: number(&case["ns"]),
        };
        let psi = number(&case["theta_c"]) / number(&case["theta_s"]);
        let found = rare(exposed, psi, Tolerated { ratio: 1.0, absolute: 0.0 });
        near(found, &case["ours_same_psi"], "ours_same_psi");
    }
}

#[test]
fn the_kernel_of_frequent_events() {
    for case in list(&main_file()["fisher_kernel"]) {
        let canary = counts(whole(&case["nc"]), whole(&case["xc"]));
        let stable = counts(whole(&case["ns"]), whole(&case["xs"]));
        let found = frequent(canary, stable, &[number(&case["psi"])], number(&case["psi0"]));
        near(found[0], &case["log_e"], "fisher");
    }
}

/// The single bettor, with the cap of its time; its grid is in units of what is tolerated.
#[test]
fn trajectories_of_one_bettor() {
    let file = main_file();
    let (params, sequences) =
        (&file["e1_trajectories"]["params"], &file["e1_trajectories"]["seqs"]);
    let grid = numbers(&params["grid"]);
    let tolerated = Tolerated { ratio: number(&params["psi0"]), absolute: 0.0 };
    let prior = prior();
    for (name, case) in sequences.as_object().unwrap() {
        for (phi, key) in [(1.0, "phi1"), (3.0, "phi3")] {
            let mut mixture = Mixture::new(prior);
            for (row, expected) in list(&case["seq"]).iter().zip(list(&case[key])) {
                let exposed = Exposed {
                    canary_errors: number(&row[0]) / phi,
                    stable_errors: number(&row[1]) / phi,
                    canary: number(&row[2]) / phi,
                    stable: number(&row[3]) / phi,
                };
                let mut ln_e = [0.0; 9];
                for (ln, psi) in ln_e[1..].iter_mut().zip(&grid) {
                    *ln = rare(exposed, psi * tolerated.ratio, tolerated);
                }
                let (share, cap) = (number(&params["sigma"]), number(&params["cap_log"]));
                mixture.step(&prior, &ln_e, share, cap);
                near(mixture.ln_wealth, expected, &format!("{name} {key}"));
            }
        }
    }
}

#[test]
fn trajectories_of_the_comparison() {
    let file = golden(include_str!("golden_e3.json"));
    let params = params();
    for (name, case) in file["cases"].as_object().unwrap() {
        let mut state = State::default();
        for (row, expected) in list(&case["seq"]).iter().zip(list(&case["trace"])) {
            let canary = counts(whole(&row[2]), whole(&row[0]));
            let stable = counts(whole(&row[3]), whole(&row[1]));
            state = advance(&state, &interval(canary, stable), &params, number(&case["phi"]));
            near(state.tempered.ln_wealth, &expected["ln_tempered"], name);
            near(state.clipped.ln_wealth, &expected["ln_clipped"], name);
            near(state.sign.ln_wealth, &expected["ln_sign"], name);
            near(state.ln_evidence(), &expected["ln_wealth"], name);
            let alarm = state.ln_evidence() >= params.ln_needed();
            assert_eq!(alarm, expected["alarm"].as_bool().unwrap(), "{name}");
        }
    }
}

#[test]
fn the_burn_of_an_objective() {
    let file = main_file();
    for case in list(&file["slo_eprocess"]) {
        let prior = (number(&case["a"]), number(&case["b"]));
        let (x, n, p0) = (number(&case["x"]), number(&case["n"]), number(&case["p0"]));
        near(slo::ln_evidence(x, n, p0, prior), &case["log_e"], "slo");
    }
    let confseq = golden(include_str!("golden_confseq.json"));
    let expected = list(&confseq["beta_binomial_log_mixture"]);
    for (case, expected) in list(&file["confseq_crosscheck"]).iter().zip(expected) {
        let prior = (number(&case["a"]), number(&case["b"]));
        let (x, n, p0) = (number(&case["x"]), number(&case["n"]), number(&case["p0"]));
        let found = slo::ln_evidence(x, n, p0, prior);
        near(found, &expected["one_sided"], "confseq");
        near(found, &case["ours"], "confseq");
    }
}

/// The Dirichlet-multinomial test that the kernel descends from; it serves as a check of `ln_gamma`.
#[test]
fn the_test_of_lindon_and_malek() {
    for case in list(&main_file()["lindon_malek"]) {
        let (theta, k) = (numbers(&case["theta0"]), number(&case["k"]));
        let mut sums = vec![0.0; theta.len()];
        for step in list(&case["steps"]) {
            for (sum, count) in sums.iter_mut().zip(numbers(&step["counts"])) {
                *sum += count;
            }
            let total: f64 = sums.iter().sum();
            let arms = sums.iter().zip(&theta);
            let ln: f64 =
                arms.map(|(x, t)| ln_gamma(k * t + x) - ln_gamma(k * t) - x * t.ln()).sum();
            near(ln + ln_gamma(k) - ln_gamma(k + total), &step["log_e"], "lindon_malek");
        }
    }
}
