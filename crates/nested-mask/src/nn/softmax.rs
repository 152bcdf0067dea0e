//! Probabilities of logits, as their logarithms.
use super::Scalar;

/// Turns logits into the logarithms of their probabilities.
pub(crate) fn log_softmax<T: Scalar>(logits: &mut [T]) {
    let greatest = logits.iter().copied().fold(T::neg_infinity(), T::max);
    let total = logits.iter().fold(T::zero(), |sum, &logit| sum + (logit - greatest).exp()).ln() + greatest;
    logits.iter_mut().for_each(|logit| *logit -= total);
}

/// The same at a temperature, above 0. The greatest is taken out before the division, so that its logit is 0 exactly.
pub(crate) fn log_softmax_at<T: Scalar>(logits: &mut [T], temperature: T) {
    let greatest = logits.iter().copied().fold(T::neg_infinity(), T::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - greatest) / temperature);
    log_softmax(logits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_keep_the_logits_differences(
            logits in prop::collection::vec(-300.0..300.0f64, 1..20),
        ) {
            let mut log = logits.clone();
            log_softmax(&mut log);
            prop_assert!((log.iter().map(|log| log.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
            for (pair, logs) in logits.windows(2).zip(log.windows(2)) {
                prop_assert!((pair[1] - pair[0] - (logs[1] - logs[0])).abs() < 1e-12 * 600.0);
            }
        }
    }
}
