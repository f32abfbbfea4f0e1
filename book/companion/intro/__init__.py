"""Everything that the first page calls."""

from .cards import Cards, three_ways
from .explorers import explore_particle, particle_numbers
from .particle import Particle, particle
