//! A source that stays as it is: nothing of it is encoded, and what happens besides goes on.

use matinee_core::job::{Kind, NewJob, Task};

/// The jobs that are left of those of a plan.
pub(super) fn left(mut jobs: Vec<NewJob>) -> Vec<NewJob> {
    jobs.retain(|job| {
        matches!(job.task.kind(), Kind::Poster | Kind::Subtitles | Kind::Step | Kind::Publish)
            || matches!(job.task, Task::Finish { background: false, .. })
    });
    let left: Vec<_> = jobs.iter().map(|job| job.id).collect();
    for job in &mut jobs {
        job.needs.retain(|(needed, _)| left.contains(needed));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use matinee_core::id::Id;
    use matinee_core::job::OnDeath;
    use matinee_core::job::load::Load;
    use matinee_core::time::Millis;

    use super::*;

    #[test]
    fn nothing_is_encoded_and_nobody_waits_for_what_is_not_made() {
        let video = Id::from_bits(1);
        let job = |n, task: Task, needs: &[u128]| NewJob {
            id: Id::from_bits(n),
            app: Id::from_bits(9),
            video: Some(video),
            task,
            prio: 0,
            weight: 0,
            run_at: Millis(0),
            needs: needs.iter().map(|id| (Id::from_bits(*id), OnDeath::Release)).collect(),
            load: Load::default(),
            idem_key: None,
        };
        let planned = vec![
            job(2, Task::Chunk { video, chunk: 0, family: 0 }, &[]),
            job(3, Task::Audio { video, track: 0 }, &[]),
            job(4, Task::Poster { video }, &[]),
            job(5, Task::Finish { video, background: false }, &[2, 3, 4]),
            job(6, Task::Publish { video, host: "bn".to_owned() }, &[5]),
            job(7, Task::Finish { video, background: true }, &[5]),
        ];
        let kinds: Vec<_> = left(planned).iter().map(|job| (job.task.kind(), job.needs.len())).collect();
        assert_eq!(kinds, [(Kind::Poster, 0), (Kind::Finish, 1), (Kind::Publish, 1)]);
    }
}
