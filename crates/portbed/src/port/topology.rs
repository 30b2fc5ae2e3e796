//! Processors in groups and NUMA nodes.

use super::call::Call;
use crate::abi::interrupt::{GroupAffinity, ProcessorNumber};

/// How the processors of a machine are arranged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topology {
    processors: usize,
    /// Processors of a group; the last one may have fewer.
    group: usize,
    /// Nodes, over which the processors are spread in order.
    nodes: usize,
}

impl Topology {
    /// That of the machine that `call` is made in.
    pub(super) fn of(call: &Call) -> Self {
        let options = &call.cpu().core().options;
        Self {
            processors: call.cpu().state().processor_count(),
            group: options.group_size as usize,
            nodes: options.nodes as usize,
        }
    }

    pub(super) fn groups(self) -> usize {
        self.processors.div_ceil(self.group)
    }

    /// The nodes that have processors: no more than there are processors.
    pub(super) fn nodes(self) -> usize {
        self.nodes.min(self.processors)
    }

    /// The number of processor `index` in its group.
    pub(super) fn number(self, index: usize) -> ProcessorNumber {
        ProcessorNumber {
            group: (index / self.group) as u16,
            number: (index % self.group) as u8,
            reserved: 0,
        }
    }

    /// The processor with a number.
    pub(super) fn index(self, number: ProcessorNumber) -> Option<usize> {
        let (group, number) = (usize::from(number.group), usize::from(number.number));
        let index = group * self.group + number;
        (number < self.group && index < self.processors).then_some(index)
    }

    /// The processors of which `has` holds, by group; groups without one are left out.
    pub(super) fn affinities(self, has: impl Fn(usize) -> bool) -> Vec<GroupAffinity> {
        let groups = 0..self.groups();
        let affinity = |group: usize| {
            let first = group * self.group;
            let last = self.processors.min(first + self.group);
            let members = (first..last).filter(|&index| has(index));
            GroupAffinity {
                mask: members.fold(0, |mask, index| mask | 1 << (index - first)),
                group: group as u16,
                reserved: [0; 3],
            }
        };
        groups
            .map(affinity)
            .filter(|affinity| affinity.mask != 0)
            .collect()
    }

    /// The processors of a group; none where there is no such group.
    pub(super) fn of_group(self, group: u16) -> Option<GroupAffinity> {
        let all = self.affinities(|_| true);
        all.into_iter().find(|affinity| affinity.group == group)
    }

    /// How many processors a group has.
    pub(super) fn count(self, group: u16) -> u32 {
        let affinity = self.of_group(group);
        affinity.map_or(0, |affinity| affinity.mask.count_ones())
    }

    /// The processors of a node, its primary group first; nothing where there is no such node.
    pub(super) fn of_node(self, node: u32) -> Vec<GroupAffinity> {
        let nodes = self.nodes();
        self.affinities(|index| index * nodes / self.processors == node as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(affinities: &[GroupAffinity]) -> Vec<(u16, u64)> {
        let plain = |affinity: &GroupAffinity| (affinity.group, affinity.mask);
        affinities.iter().map(plain).collect()
    }

    #[test]
    fn processors_are_numbered_within_their_groups() {
        let topology = Topology {
            processors: 100,
            group: 64,
            nodes: 1,
        };
        assert_eq!(topology.groups(), 2);
        let number = topology.number(70);
        assert_eq!((number.group, number.number), (1, 6));
        assert!((0..100).all(|index| topology.index(topology.number(index)) == Some(index)));
        let behind = ProcessorNumber {
            group: 1,
            number: 36,
            reserved: 0,
        };
        assert_eq!(topology.index(behind), None);
        assert_eq!([0, 1, 2].map(|group| topology.count(group)), [64, 36, 0]);
        let all = [(0, u64::MAX), (1, (1 << 36) - 1)];
        assert_eq!(plain(&topology.of_node(0)), all);
        assert!(topology.of_node(1).is_empty());
    }

    #[test]
    fn nodes_have_processors_that_follow_each_other() {
        let topology = Topology {
            processors: 6,
            group: 2,
            nodes: 2,
        };
        assert_eq!(plain(&topology.of_node(0)), [(0, 3), (1, 1)]);
        assert_eq!(plain(&topology.of_node(1)), [(1, 2), (2, 3)]);
        let crowded = Topology {
            nodes: 9,
            ..topology
        };
        assert_eq!(crowded.nodes(), 6);
    }
}
