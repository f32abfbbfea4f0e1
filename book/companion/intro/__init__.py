"""Everything that the first page calls."""

from .explorers import explore_particle, particle_numbers
from .figures import Cards, three_ways
from .particle import Particle, particle
