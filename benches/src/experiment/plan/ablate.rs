//! The ablation's runs.
use super::{Builder, Planned, Recipe, Scale, Steps, given, kinds::Kind};
use crate::{
    experiment::{
        images::Images,
        settings::{
            AllocationName, DistillationFrom, Growth, MaskingName, RegrowthUntil, RoutingName, Settings, Suite,
            Training,
        },
    },
    options::BlockOption,
};

/// The seed that learning rates are tuned with. Of many rates the best one's figures are too good, so none of them is in the
/// table, the default's least of all, which all others are told from.
const TUNED_WITH: u64 = 1;

/// The ablation's runs: the nested network with one factor changed, all of them with one seed before the next.
pub fn ablate(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images, widths: &[] };
    let default = builder.trials(Suite::Ablation, Kind::Nested);
    let mut plan: Vec<Planned> = given(&default).collect();
    for seed in (TUNED_WITH..=scale.seeds + TUNED_WITH).skip(1) {
        for variant in variants(scale) {
            let changed = |mut runs: Vec<Settings>| {
                for settings in &mut runs {
                    (variant.change)(settings);
                    settings.variant = Some(variant.name.to_owned());
                }
                runs
            };
            let trials = if variant.retuned {
                builder.trials_of(
                    Recipe::Present,
                    &scale.rates,
                    &[Steps::OneLevel],
                    &changed(builder.tuning_runs(Suite::Ablation, Kind::Nested)),
                )
            } else {
                default.clone()
            };
            if variant.retuned && seed == TUNED_WITH + 1 {
                plan.extend(given(&trials));
            }
            let planned = |settings| Planned { settings, trials: trials.clone() };
            plan.extend(changed(builder.runs(Suite::Ablation, Kind::Nested, seed)).into_iter().map(planned));
        }
    }
    plan
}

/// One change of the ablation.
struct Variant {
    /// `factor: value`.
    name: &'static str,
    change: Box<dyn Fn(&mut Settings)>,
    /// Whether it changes how far a weight moves, so that it needs a learning rate of its own.
    retuned: bool,
}

/// What the ablation changes. What passes through several levels a step gets fewer epochs, so that all have the same image
/// passes; with smaller batches, so that they have the same number of steps, too.
fn variants(scale: &Scale) -> Vec<Variant> {
    let levels = scale.ladder.len();
    let changed = |name, change: fn(&mut Training)| Variant {
        name,
        change: Box::new(move |settings| change(&mut settings.training)),
        retuned: false,
    };
    let routed = |name, routing: RoutingName, split| Variant {
        name,
        retuned: routing.passes_a_step(levels) > 1.0,
        change: Box::new(move |settings| settings.training.routed(routing.clone(), split)),
    };
    let sampled = |name, weights: &[f64]| routed(name, RoutingName::Sampled(weights.to_vec()), false);
    // Shared γ and β would learn from the sparsest level alone, so there they are of each level: told from the row that has them so.
    let ring = |name, split| Variant {
        name,
        retuned: true,
        change: Box::new(move |settings| {
            settings.training.routed(RoutingName::Ring, split);
            settings.training.shared_affine = false;
        }),
    };
    let grown = |name, end| Variant {
        name,
        change: Box::new(move |settings| settings.training.growth = Growth { start: 0.0, end }),
        retuned: true,
    };
    let distilled = |name, start| Variant {
        name,
        change: Box::new(move |settings| {
            settings.training.distillation = Some(DistillationFrom { start, mix: 0.5, temperature: 2.0 });
        }),
        retuned: false,
    };
    let mut variants = vec![
        changed("default", |_| ()),
        distilled("distillation: from the start", 0.0),
        distilled("distillation: from the middle", 0.5),
        distilled("distillation: last quarter", 0.75),
        changed("block: 1×2", |training| training.block = BlockOption::OneByTwo),
        changed("allocation: ERK", |training| training.allocation = AllocationName::Erk),
        changed("allocation: global", |training| training.allocation = AllocationName::Global),
        changed("allocation: automatic", |training| training.allocation = AllocationName::Automatic),
        changed("allocation: per instruction, exponent 1", |training| {
            training.allocation = AllocationName::PerInstruction;
        }),
        changed("allocation: global, per instruction, by weight times gradient", |training| {
            training.allocation = AllocationName::GlobalPerInstruction;
        }),
        changed("saliency: weight times gradient", |training| training.by_gradient = true),
        changed("regrowth: 20 % at first, from three quarters to nine tenths", |training| {
            training.regrowth = Some(RegrowthUntil { until: 0.9, share: 0.2 });
        }),
        grown("schedule: full sparsity from the start", 0.0),
        grown("schedule: ramp over a fifth", 0.2),
        grown("schedule: ramp over half", 0.5),
        Variant {
            name: "batch norm: not recalibrated",
            change: Box::new(|settings| settings.recalibrated = false),
            retuned: false,
        },
        Variant {
            name: "batch norm: γ and β of each level",
            change: Box::new(|settings| settings.training.shared_affine = false),
            retuned: true,
        },
        changed("labels: smoothed by 0.1", |training| training.label_smoothing = 0.1),
        changed("images: mirrored too", |training| training.flip = true),
        changed("images: erased too", |training| training.erase = 8),
        changed("int8: last tenth", |training| training.int8_from = 0.9),
        // What tells DSNN's two differences apart.
        Variant {
            name: "gradients: not masked",
            change: Box::new(|settings| settings.training.masking = MaskingName::StraightThrough),
            retuned: true,
        },
        // Supports are final before the first ring stands still, and γ and β are of each level: what the next two are told from. A
        // ring's weights move less than before, so these need another rate, too.
        Variant {
            name: "schedule: ramp over a fifth; own γ and β",
            change: Box::new(|settings| {
                settings.training.growth.end = 0.2;
                settings.training.shared_affine = false;
            }),
            retuned: true,
        },
        Variant {
            name: "routing: frozen; ramp over a fifth, own γ and β",
            change: Box::new(|settings| {
                settings.training.routing = RoutingName::Frozen;
                settings.training.growth.end = 0.2;
                settings.training.shared_affine = false;
            }),
            retuned: true,
        },
        Variant {
            name: "routing: frozen until three quarters, then sampled; ramp over a fifth, own γ and β",
            change: Box::new(|settings| {
                settings.training.routing = RoutingName::Staged(0.75);
                settings.training.growth.end = 0.2;
                settings.training.shared_affine = false;
            }),
            retuned: true,
        },
    ];
    if levels == 3 {
        variants.extend([
            sampled("sampling: 2:1:1, sparsest first", &[2.0, 1.0, 1.0]),
            sampled("sampling: 1:1:2", &[1.0, 1.0, 2.0]),
            sampled("sampling: 2:1:2", &[2.0, 1.0, 2.0]),
        ]);
        let matrix = vec![1.0, 0.5, 0.5, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0];
        let routing = RoutingName::Weighted(matrix);
        variants.extend([
            routed("routing: weighted, own level 1, denser ½", routing.clone(), false),
            routed("routing: weighted, own level 1, denser ½; smaller batches", routing, true),
        ]);
    }
    variants.extend([
        routed("routing: joint", RoutingName::Joint, false),
        routed("routing: joint; smaller batches", RoutingName::Joint, true),
        routed("routing: normalised", RoutingName::Normalised, false),
        routed("routing: normalised; smaller batches", RoutingName::Normalised, true),
        ring("routing: ring; own γ and β", false),
        ring("routing: ring; own γ and β, smaller batches", true),
        routed("routing: anchored", RoutingName::Anchored(Vec::new()), false),
        routed("routing: anchored; smaller batches", RoutingName::Anchored(Vec::new()), true),
    ]);
    variants
}
